// What scatter_4.comp and scatter_2.comp share: elements of a staged tensor go back to where they belong, on both sides
// of the boundary between two parts of a buffer. What lies between them is left alone.
//
// The staging memory begins with the tensor's first element. Launch: an item for each element.

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    uint shape[4];
    uint stride[4]; // in elements
    uint count;     // of elements
    uint low_begin; // the first element's index in the low part's binding
    uint low_count; // elements of the tensor's extent that lie in the low part; the others begin the high one
};

// Whether this item has an element; where it lies in the tensor's extent.
bool find_element(out uint place)
{
    uint rest = group_number() * ITEMS + ITEM;
    if (rest >= count) return false;
    place = 0u;
    for (int i = 3; i >= 0; i--) {
        place += rest % shape[i] * stride[i];
        rest /= shape[i];
    }
    return true;
}
