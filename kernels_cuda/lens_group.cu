/* lens "group", for a few dozen rows: a block multiplies 64 rows with 64 entries of the vocabulary at a time and takes
 * the logits in from shared memory, so that none of them goes through the device's.
 *
 * A block of 128 threads takes its part of the vocabulary for 64 rows. A tile is made as by matmul "tile", an element
 * being one chain of multiply-adds in the order of k; where rows are compared, a second tile of their references'
 * logits. Then each warp adds the logits of 16 rows to their running results, which stay in shared memory; lists of the
 * largest entries lie in scratch, and are fetched where an entry belongs in them. 45 KiB of shared memory. Launched
 * over parts x blocks of 64 rows, behind lens_begin and before lens_merge. */
#include "lens.cuh"
#include "matmul_tile.cuh"

enum {
    TILE      = CUDA_LENS_GROUP, /* rows, and entries */
    THREADS   = CUDA_LENS_THREADS,
    WARP_ROWS = TILE / (THREADS / WARP),
    EACH      = TILE / WARP /* logits of a row for each lane */
};

/* A block's memory. */
struct group_memory {
    float            tiles[2][STEPS][TILE + 4]; /* rows and entries */
    float            logits[2][TILE][TILE + 1]; /* of the rows, and of what they are compared with */
    int              rows[2][TILE];             /* which these are; -1: none */
    cuda_lens_target targets[TILE];
    cuda_lens_state  states[TILE];
    float            least[TILE]; /* of a row's list */
};

/* Steps `step` to `step` + 3 of four rows of scratch. */
DEVICE void load_rows(float block[4][4], const cuda_lens &p, const int rows[4], int64_t step)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float *from = p.rows + rows[i] * p.size + step;
        if (rows[i] >= 0 && p.size % 4 == 0 && step < p.size) {
            load_four(block[i], from);
            continue;
        }
#pragma unroll
        for (int j = 0; j < 4; j++) block[i][j] = rows[i] >= 0 && step + j < p.size ? from[j] : 0;
    }
}

/* The logits of the entries from `id` on, of all of the block's rows or of what these are compared with. Ends with all
 * threads past reading the tiles. */
DEVICE void make_logits(group_memory *memory, const cuda_lens &p, int of_reference, int64_t id, int thread)
{
    const int     lane = thread % WARP, warp = thread / WARP;
    const int     x = lane % 8 + warp % 2 * 8, y = lane / 8 + warp / 2 * 4;
    const bool    of_entries         = thread >= THREADS / 2;
    const int     place              = thread % (THREADS / 2);
    matmul_source entries            = source_of(p.unembedding.data, p.unembedding.dtype, p.unembedding.stride[0],
                                                 p.unembedding.stride[1], p.vocabulary, p.size, id, 0);
    const bool    along_k            = !of_entries || entries.along_k;
    const int     line               = (along_k ? place / (STEPS / 4) : place % (TILE / 4)) * 4;
    const int     step               = (along_k ? place % (STEPS / 4) : place / (TILE / 4)) * 4;
    float         sums[8][TILE / 16] = {}, fetched[4][4];
    for (int64_t begin = 0; begin < p.size; begin += STEPS, skip_steps(&entries, STEPS)) {
        if (of_entries)
            load_block(fetched, &entries, line, step);
        else
            load_rows(fetched, p, &memory->rows[of_reference][line], begin + step);
        __syncthreads(); /* behind the last round's reads */
        store_block<TILE>(memory->tiles[of_entries], fetched, line, step);
        __syncthreads();
        multiply_round<TILE>(sums, memory->tiles[0], memory->tiles[1], x, y);
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int slot = i / 4 * (TILE / 2) + y * 4 + i % 4, entry = x * 4 + j;
            memory->logits[of_reference][slot][entry] =
                id + entry < p.vocabulary ? logit_of(p, sums[i][j], id + entry) : -INFINITY;
        }
}

/* Adds a tile's logits of one row to what its warp keeps of it. */
DEVICE void take_row(group_memory *memory, const cuda_lens &p, int slot, int64_t place, int64_t id, int lane)
{
    const cuda_lens_target target = memory->targets[slot];
    cuda_lens_state        state  = memory->states[slot];
    float                  least  = memory->least[slot], x[EACH], other[EACH];
#pragma unroll
    for (int j = 0; j < EACH; j++) {
        x[j]     = memory->logits[0][slot][j * WARP + lane];
        other[j] = memory->logits[1][slot][j * WARP + lane];
    }
    take_unit(&state, x);
    if (p.reference >= 0) take_divergence(&state, x, other);
    if (p.ranks) state.rank += ranks_above(x, target, (int)id + lane);
    if (p.top && __any_sync(ALL_LANES, largest_of(x) > least)) {
        lens_list list = load_list(p, place, lane);
        take_largest(&list, p.top, x, (int)id, lane);
        store_list(p, place, list, lane);
        least = least_of(list, p.top);
    }
    __syncwarp(); /* behind what every lane has read: a vote orders no memory */
    if (lane) return;
    memory->states[slot] = state;
    memory->least[slot]  = least;
}

DEVICE void begin_row(group_memory *memory, const cuda_lens &p, int slot, int64_t row, int64_t place, int lane)
{
    const bool             there  = row < p.layers * p.tokens;
    const cuda_lens_target target = there ? p.targets[row] : cuda_lens_target{NAN, -1, -1, 0};
    if (there) store_list(p, place, empty_list(), lane);
    if (lane) return;
    memory->rows[0][slot] = there ? (int)row : -1;
    memory->rows[1][slot] = target.reference;
    memory->targets[slot] = target;
    memory->states[slot]  = empty_state();
    memory->least[slot]   = there ? -INFINITY : INFINITY;
}

CUDA_KERNEL(lens_group, cuda_lens, CUDA_LENS_THREADS)
{
    __align__(16) __shared__ group_memory memory;

    const int     thread = (int)threadIdx.x, lane = thread % WARP, first = thread / WARP * WARP_ROWS;
    const int64_t rows = p.layers * p.tokens, blocks = (rows + TILE - 1) / TILE;
    const int64_t part = BLOCK_NUMBER / blocks, begin = BLOCK_NUMBER % blocks * TILE;
    for (int slot = first; slot < first + WARP_ROWS; slot++)
        begin_row(&memory, p, slot, begin + slot, (begin + slot) * p.parts + part, lane);
    __syncthreads();
    for (int64_t id = part * TILE; id < p.vocabulary; id += p.parts * TILE) {
        make_logits(&memory, p, 0, id, thread);
        if (p.reference >= 0) make_logits(&memory, p, 1, id, thread);
        __syncthreads();
        for (int slot = first; slot < first + WARP_ROWS && begin + slot < rows; slot++)
            take_row(&memory, p, slot, (begin + slot) * p.parts + part, id, lane);
        __syncthreads(); /* before the next tile's logits */
    }
    __syncwarp();
    for (int slot = first + lane; slot < first + WARP_ROWS && begin + slot < rows; slot += WARP)
        p.states[(begin + slot) * p.parts + part] = memory.states[slot];
}
