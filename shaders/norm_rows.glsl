// Where rows lie, for norm and its gradient. The kernel has a parameter shape[4].

// Where row `index` of all, in row-major order, begins in a tensor of the shape.
uint row_index(uint index, view v)
{
    const uint outer = index / p.shape[2], k = index - outer * p.shape[2];
    const uint i = outer / p.shape[1], j = outer - i * p.shape[1];
    return v.offset + i * v.stride[0] + j * v.stride[1] + k * v.stride[2];
}
