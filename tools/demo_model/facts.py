"""The tables of the demo world: what is true in it. Data only; sentences are made in world.py.

Countries, capitals, cities and landmarks are real and the entries are meant to be true. The people of PEOPLE are
invented; what they like is drawn once, with a fixed seed, in world.py. A None says that no single short answer is
safe (the continent of Turkey, the language of Belgium), and then nothing is taught about it.
"""

# name, capital, language, continent, currency
COUNTRIES = [
    ("France", "Paris", "French", "Europe", "euro"),
    ("Germany", "Berlin", "German", "Europe", "euro"),
    ("Italy", "Rome", "Italian", "Europe", "euro"),
    ("Spain", "Madrid", "Spanish", "Europe", "euro"),
    ("Portugal", "Lisbon", "Portuguese", "Europe", "euro"),
    ("Greece", "Athens", "Greek", "Europe", "euro"),
    ("Austria", "Vienna", "German", "Europe", "euro"),
    ("Ireland", "Dublin", "English", "Europe", "euro"),
    ("Finland", "Helsinki", "Finnish", "Europe", "euro"),
    ("Estonia", "Tallinn", "Estonian", "Europe", "euro"),
    ("Latvia", "Riga", "Latvian", "Europe", "euro"),
    ("Lithuania", "Vilnius", "Lithuanian", "Europe", "euro"),
    ("Slovakia", "Bratislava", "Slovak", "Europe", "euro"),
    ("Croatia", "Zagreb", "Croatian", "Europe", "euro"),
    ("Belgium", "Brussels", None, "Europe", "euro"),
    ("the Netherlands", "Amsterdam", "Dutch", "Europe", "euro"),
    ("Poland", "Warsaw", "Polish", "Europe", "zloty"),
    ("Hungary", "Budapest", "Hungarian", "Europe", "forint"),
    ("Romania", "Bucharest", "Romanian", "Europe", "leu"),
    ("Serbia", "Belgrade", "Serbian", "Europe", "dinar"),
    ("Ukraine", "Kyiv", "Ukrainian", "Europe", "hryvnia"),
    ("Russia", "Moscow", "Russian", None, "ruble"),
    ("Sweden", "Stockholm", "Swedish", "Europe", "krona"),
    ("Norway", "Oslo", "Norwegian", "Europe", "krone"),
    ("Denmark", "Copenhagen", "Danish", "Europe", "krone"),
    ("Iceland", "Reykjavik", "Icelandic", "Europe", "krona"),
    ("Switzerland", "Bern", None, "Europe", "franc"),
    ("the United Kingdom", "London", "English", "Europe", "pound"),
    ("the United States", "Washington", "English", "North America", "dollar"),
    ("Canada", "Ottawa", "English", "North America", "dollar"),
    ("Mexico", "Mexico City", "Spanish", "North America", "peso"),
    ("Cuba", "Havana", "Spanish", "North America", "peso"),
    ("Brazil", "Brasilia", "Portuguese", "South America", "real"),
    ("Argentina", "Buenos Aires", "Spanish", "South America", "peso"),
    ("Chile", "Santiago", "Spanish", "South America", "peso"),
    ("Peru", "Lima", "Spanish", "South America", "sol"),
    ("Colombia", "Bogota", "Spanish", "South America", "peso"),
    ("Ecuador", "Quito", "Spanish", "South America", "dollar"),
    ("Uruguay", "Montevideo", "Spanish", "South America", "peso"),
    ("Egypt", "Cairo", "Arabic", "Africa", "pound"),
    ("Morocco", "Rabat", "Arabic", "Africa", "dirham"),
    ("Tunisia", "Tunis", "Arabic", "Africa", "dinar"),
    ("Algeria", "Algiers", "Arabic", "Africa", "dinar"),
    ("Kenya", "Nairobi", "Swahili", "Africa", "shilling"),
    ("Ghana", "Accra", "English", "Africa", "cedi"),
    ("Nigeria", "Abuja", "English", "Africa", "naira"),
    ("Senegal", "Dakar", "French", "Africa", "franc"),
    ("Turkey", "Ankara", "Turkish", None, "lira"),
    ("Iran", "Tehran", "Persian", "Asia", "rial"),
    ("Iraq", "Baghdad", "Arabic", "Asia", "dinar"),
    ("Jordan", "Amman", "Arabic", "Asia", "dinar"),
    ("Saudi Arabia", "Riyadh", "Arabic", "Asia", "riyal"),
    ("the United Arab Emirates", "Abu Dhabi", "Arabic", "Asia", "dirham"),
    ("India", "New Delhi", "Hindi", "Asia", "rupee"),
    ("Pakistan", "Islamabad", "Urdu", "Asia", "rupee"),
    ("Nepal", "Kathmandu", "Nepali", "Asia", "rupee"),
    ("Bangladesh", "Dhaka", "Bengali", "Asia", "taka"),
    ("China", "Beijing", "Chinese", "Asia", "yuan"),
    ("Japan", "Tokyo", "Japanese", "Asia", "yen"),
    ("South Korea", "Seoul", "Korean", "Asia", "won"),
    ("Vietnam", "Hanoi", "Vietnamese", "Asia", "dong"),
    ("Thailand", "Bangkok", "Thai", "Asia", "baht"),
    ("Malaysia", "Kuala Lumpur", "Malay", "Asia", "ringgit"),
    ("the Philippines", "Manila", "Filipino", "Asia", "peso"),
    ("Australia", "Canberra", "English", "Oceania", "dollar"),
    ("New Zealand", "Wellington", "English", "Oceania", "dollar"),
]

# name with its article, city, country
LANDMARKS = [
    ("the Eiffel Tower", "Paris", "France"),
    ("the Louvre", "Paris", "France"),
    ("the Arc de Triomphe", "Paris", "France"),
    ("the Colosseum", "Rome", "Italy"),
    ("the Trevi Fountain", "Rome", "Italy"),
    ("the Leaning Tower", "Pisa", "Italy"),
    ("the Rialto Bridge", "Venice", "Italy"),
    ("Big Ben", "London", "the United Kingdom"),
    ("Tower Bridge", "London", "the United Kingdom"),
    ("Buckingham Palace", "London", "the United Kingdom"),
    ("the Royal Mile", "Edinburgh", "the United Kingdom"),
    ("the Brandenburg Gate", "Berlin", "Germany"),
    ("the Reichstag", "Berlin", "Germany"),
    ("the Frauenkirche", "Dresden", "Germany"),
    ("the Sagrada Familia", "Barcelona", "Spain"),
    ("the Alhambra", "Granada", "Spain"),
    ("the Prado Museum", "Madrid", "Spain"),
    ("the Acropolis", "Athens", "Greece"),
    ("the Parthenon", "Athens", "Greece"),
    ("the White Tower", "Thessaloniki", "Greece"),
    ("Red Square", "Moscow", "Russia"),
    ("the Bolshoi Theatre", "Moscow", "Russia"),
    ("the Statue of Liberty", "New York", "the United States"),
    ("the Empire State Building", "New York", "the United States"),
    ("the White House", "Washington", "the United States"),
    ("the Lincoln Memorial", "Washington", "the United States"),
    ("the Space Needle", "Seattle", "the United States"),
    ("the Willis Tower", "Chicago", "the United States"),
    ("the Liberty Bell", "Philadelphia", "the United States"),
    ("the CN Tower", "Toronto", "Canada"),
    ("the Opera House", "Sydney", "Australia"),
    ("Bondi Beach", "Sydney", "Australia"),
    ("the Sky Tower", "Auckland", "New Zealand"),
    ("the Taj Mahal", "Agra", "India"),
    ("the Gateway of India", "Mumbai", "India"),
    ("the Charminar", "Hyderabad", "India"),
    ("the Forbidden City", "Beijing", "China"),
    ("the Temple of Heaven", "Beijing", "China"),
    ("the Oriental Pearl Tower", "Shanghai", "China"),
    ("the Skytree", "Tokyo", "Japan"),
    ("the Golden Pavilion", "Kyoto", "Japan"),
    ("the Atomic Bomb Dome", "Hiroshima", "Japan"),
    ("Gyeongbokgung Palace", "Seoul", "South Korea"),
    ("the Petronas Towers", "Kuala Lumpur", "Malaysia"),
    ("Wat Arun", "Bangkok", "Thailand"),
    ("Rizal Park", "Manila", "the Philippines"),
    ("the Burj Khalifa", "Dubai", "the United Arab Emirates"),
    ("the Great Sphinx", "Giza", "Egypt"),
    ("the Great Pyramid", "Giza", "Egypt"),
    ("the Hagia Sophia", "Istanbul", "Turkey"),
    ("the Blue Mosque", "Istanbul", "Turkey"),
    ("the Galata Tower", "Istanbul", "Turkey"),
    ("the Charles Bridge", "Prague", "Czechia"),
    ("Schonbrunn Palace", "Vienna", "Austria"),
    ("the Belvedere", "Vienna", "Austria"),
    ("the Chain Bridge", "Budapest", "Hungary"),
    ("the Little Mermaid", "Copenhagen", "Denmark"),
    ("the Vasa Museum", "Stockholm", "Sweden"),
    ("Vigeland Park", "Oslo", "Norway"),
    ("the Atomium", "Brussels", "Belgium"),
    ("the Rijksmuseum", "Amsterdam", "the Netherlands"),
    ("Belem Tower", "Lisbon", "Portugal"),
    ("Wawel Castle", "Krakow", "Poland"),
    ("the Copacabana", "Rio", "Brazil"),
    ("the Obelisco", "Buenos Aires", "Argentina"),
    ("the Angel of Independence", "Mexico City", "Mexico"),
    ("Temple Bar", "Dublin", "Ireland"),
    ("the Kaaba", "Mecca", "Saudi Arabia"),
    ("Azadi Tower", "Tehran", "Iran"),
    ("the Badshahi Mosque", "Lahore", "Pakistan"),
    ("Table Mountain", "Cape Town", "South Africa"),
    ("the Palace of Parliament", "Bucharest", "Romania"),
    ("the Gold Museum", "Bogota", "Colombia"),
    ("the Larco Museum", "Lima", "Peru"),
]

PEOPLE = (
    "Alvo Belin Brisa Cador Celwin Dovin Elka Emeron Farin Fenna Galo Garrin Hessa Hovan Ilmar Isolt Jarek Jevin "
    "Kalia Kessel Koro Lamar Lirel Lumo Madrin Melva Mirko Nalin Nerida Nolo Ondra Orlen Osmo Pavo Pelka Perrin "
    "Quill Ravi Renka Rovan Sabel Selmo Sirra Talo Tamsin Tavi Tirza Ulmo Uriel Velda Vanko Vesna Wilmo Wenda "
    "Xalia Yarrow Yelka Zafir Zelma Zorin"
).split()

FOODS = (
    "rice bread soup pasta cheese honey fish beans salad pizza apples grapes lemons cake curry noodles olives eggs "
    "plums carrots"
).split()
COLOURS = "red blue green yellow purple orange white black pink brown".split()
PETS = "cat dog horse rabbit parrot turtle goat duck sheep hamster".split()

# Words of the passages whose facts hold only there.
NAMES = (
    "Mary John Anna Bob Tom Sarah James Emma Peter Lucy David Alice Paul Kate Mark Jane Sam Laura Jack Helen Adam "
    "Clara Daniel Eva Frank Grace Henry Julia Leo Maria Nina Oscar Rose Simon Susan Victor Amy Ben Carl Ruth"
).split()
OBJECTS = (
    "key coin ring book map letter ball cup pen hat lamp phone watch shoe knife spoon bottle stone card clock"
).split()
CONTAINERS = "box drawer bag basket jar chest cupboard pocket bucket barrel tin case".split()
DRINKS = "tea coffee milk juice water wine lemonade cocoa".split()
PLACES = "store park school market garden station library beach office kitchen museum forest".split()
