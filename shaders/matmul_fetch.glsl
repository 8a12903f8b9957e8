// How kernels of matmul with shared memory bring A and B there: TILE_M rows and TILE_N columns, STEPS of k at a time.
//
// An item fetches a block of 4 lines by 4 steps of A or of B for the next round while it computes this one, so there
// are as many items as blocks at least. They are handed out so that 8 neighbouring items have neighbouring lines, and
// write neighbouring fours of elements to shared memory, and 4 times as many read whole sectors of memory, whichever
// axis is contiguous.
//
// Steps beyond the end are -0 in A and 0 in B: their product is -0, which changes no sum, itself -0 or not.
//
// Before it is included, FOUR is defined as the vector of 4 elements that shared memory holds, and BUFFERS as the
// number of tiles there.

layout(constant_id = 8) const uint TILE_M = 64;
layout(constant_id = 9) const uint TILE_N = 64;
layout(constant_id = 10) const uint STEPS = 16;

const uint FOURS_M = TILE_M / 4, FOURS_N = TILE_N / 4, FOURS = FOURS_M + FOURS_N; // of a step
const uint BLOCKS_M = FOURS_M * STEPS / 4, BLOCKS = FOURS * STEPS / 4;

shared FOUR tile[BUFFERS * STEPS * FOURS]; // [buffer, step, rows then columns]

// What an item fetches.
struct share {
    bool is_a, any;
    uint line, step; // in the tile
};

share share_of(uint item)
{
    share mine;
    mine.is_a        = item < BLOCKS_M;
    mine.any         = item < BLOCKS;
    const uint block = mine.is_a ? item : item - BLOCKS_M, side = min(8, mine.is_a ? FOURS_M : FOURS_N);
    mine.line        = (block / (side * STEPS / 4) * side + block % side) * 4;
    mine.step        = block / side % (STEPS / 4) * 4;
    return mine;
}

void fetch(out vec4 block[4], share mine, matrix a_from, matrix b_from, uint row, uint column, uint step)
{
    const uint at   = step + mine.step;
    const vec4 none = vec4(mine.is_a ? -0.0 : 0.0);
    for (uint i = 0; i < 4; i++) block[i] = none;
    if (!mine.any) return;
    if (mine.is_a) {
        if (at + 4 <= p.k)
            a_block_at(block, a_from, row + mine.line, at);
        else
            for (uint i = 0; i < 4; i++)
                if (at + i < p.k) block[i] = a_step_at(a_from, row + mine.line, at + i);
    } else {
        if (at + 4 <= p.k)
            b_block_at(block, b_from, column + mine.line, at);
        else
            for (uint i = 0; i < 4; i++)
                if (at + i < p.k) block[i] = b_step_at(b_from, column + mine.line, at + i);
    }
}

void put_down(vec4 block[4], share mine, uint buffer_number)
{
    const uint first = (buffer_number * STEPS + mine.step) * FOURS + (mine.is_a ? 0 : FOURS_M) + mine.line / 4;
    if (mine.any)
        for (uint i = 0; i < 4; i++) tile[first + i * FOURS] = FOUR(block[i]);
}
