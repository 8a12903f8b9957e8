# Writes OUTPUT, a C file that defines `const TYPE SYMBOL` with the bytes of FILES, one after the other, and their SHA-256.
# HEADER declares TYPE, whose members are text, size and sha256.
# Usage: cmake -DOUTPUT=out.c -DHEADER=report/assets.h -DTYPE=scry__asset -DSYMBOL=scry__asset_x "-DFILES=a;b" -P embed.cmake
set(hex "")
foreach(file IN LISTS FILES)
  file(READ ${file} part HEX)
  string(APPEND hex ${part})
endforeach()
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")

# The digest is of all the bytes, so they are joined in a file first.
set(joined ${OUTPUT}.joined)
file(WRITE ${joined} "")
execute_process(COMMAND ${CMAKE_COMMAND} -E cat ${FILES} OUTPUT_FILE ${joined} RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "cannot read ${FILES}")
endif()
file(SHA256 ${joined} digest)
file(REMOVE ${joined})
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," digest "${digest}")

file(WRITE ${OUTPUT} "#include \"${HEADER}\"\n\nstatic const unsigned char bytes[] = {\n${bytes}0};\n
const ${TYPE} ${SYMBOL} = {(const char *)bytes, ${size}, {${digest}}};\n")
