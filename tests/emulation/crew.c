/* Runs the threads of one block after the other, on one OS thread. Those that never meet are a loop. Each of those that
 * do is a fiber, which gives way where it waits: at a barrier for its block, at a shuffle for its warp.
 *
 * The order in which waiting threads go on changes from phase to phase, so that what depends on it shows. For TSan the
 * threads of a block are strangers until they meet at a barrier, so it reports what a missing one leaves open. Where
 * threads fail to meet, the launch fails. */
#include "emulation.h"
#include "fiber.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARP = 32, MOST_THREADS = 1024, MOST_WARPS = MOST_THREADS / WARP, MOST_COPIES = 256 };

enum state { RUNS, AT_BLOCK, AT_WARP, ENDED };

struct copy {
    void       *to;
    const void *from;
    size_t      bytes, zeros;
    unsigned    group;
};

struct lane {
    struct scry__fiber fiber;
    struct scry__crew *crew;
    enum state         state;
    const char        *where; /* it waits */
    unsigned           met[2], exchanged;
    struct copy        copies[MOST_COPIES]; /* copies_done to copies_asked, in turn */
    unsigned           copies_asked, copies_done, group;
};

/* What one warp exchanges, twice: lanes may begin with the next exchange while others still read the last. */
struct slots {
    _Alignas(16) unsigned char bytes[2][WARP][SCRY__MOST_EXCHANGED];
};

struct scry__crew {
    struct scry__fiber                  self;
    const struct scry__emulated_launch *launch;
    struct lane                        *lanes[MOST_THREADS]; /* NULL before they are needed */
    struct slots                        slots[MOST_WARPS];
    unsigned char                      *memory; /* of the block, exactly as much as was asked for */
    size_t                              memory_bytes;
    bool                                failed;
    char                                reason[256];
    /* Where TSan sees threads meet: by turns, as some may reach the next meeting before others have left the last. */
    char begun, ended, of_block[2], of_warp[MOST_WARPS][2];
};

__thread struct scry__emulated_place scry__emulated_here;

struct scry__crew *scry__crew_create(void)
{
    return calloc(1, sizeof(struct scry__crew));
}

static void dismiss(struct scry__crew *crew)
{
    for (int i = 0; i < MOST_THREADS; i++) {
        if (!crew->lanes[i]) continue;
        scry__fiber_destroy(&crew->lanes[i]->fiber);
        free(crew->lanes[i]);
        crew->lanes[i] = NULL;
    }
}

void scry__crew_destroy(struct scry__crew **crew)
{
    if (!*crew) return;
    dismiss(*crew);
    free((*crew)->memory);
    free(*crew);
    *crew = NULL;
}

/* --- what threads ask for --- */

static void complain(struct scry__crew *crew, const char *what, const char *where)
{
    if (!crew->failed) snprintf(crew->reason, sizeof crew->reason, "%s %s", what, where);
    crew->failed = true;
}

void scry__emulated_refuse(const char *what, const char *where)
{
    complain(scry__emulated_here.crew, what, where);
}

/* NULL, with a complaint, in a kernel whose threads are not to meet. */
static struct lane *own_lane(const char *where)
{
    struct scry__crew *crew = scry__emulated_here.crew;
    if (crew->launch->kernel->meets) return crew->lanes[scry__emulated_here.thread.x];
    complain(crew, "threads of a flat kernel meet at", where);
    return NULL;
}

static void give_way(struct lane *lane, enum state state, const char *where)
{
    lane->state = state;
    lane->where = where;
    scry__fiber_switch(&lane->fiber, &lane->crew->self);
}

void scry__emulated_meet(enum scry__meeting meeting, const char *where)
{
    struct lane *lane = own_lane(where);
    if (!lane) return;
    struct scry__crew *crew = lane->crew;
    unsigned           turn = lane->met[meeting]++ & 1;
    char              *place =
        meeting == SCRY__OF_BLOCK ? &crew->of_block[turn] : &crew->of_warp[scry__emulated_here.thread.x / WARP][turn];
    scry__fiber_release(place);
    give_way(lane, meeting == SCRY__OF_BLOCK ? AT_BLOCK : AT_WARP, where);
    scry__fiber_acquire(place);
}

/* Unseen by TSan, for which a shuffle is no barrier. */
__attribute__((no_sanitize("thread"))) static void give(volatile unsigned char *slot, const unsigned char *mine,
                                                        size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) slot[i] = mine[i];
}

const unsigned char *scry__emulated_exchange(const void *mine, size_t bytes, const char *where)
{
    static const unsigned char nothing[WARP][SCRY__MOST_EXCHANGED];
    struct lane               *lane = own_lane(where);
    if (!lane) return nothing[0];
    unsigned thread                             = scry__emulated_here.thread.x;
    unsigned char(*slots)[SCRY__MOST_EXCHANGED] = lane->crew->slots[thread / WARP].bytes[lane->exchanged++ & 1];
    give(slots[thread % WARP], mine, bytes);
    give_way(lane, AT_WARP, where);
    return slots[0];
}

void scry__emulated_copy_later(void *to, const void *from, size_t bytes, size_t zeros_behind)
{
    struct lane *lane = own_lane("cp.async");
    if (!lane) return;
    if (lane->copies_asked - lane->copies_done == MOST_COPIES) {
        complain(lane->crew, "too many copies are under way at", "cp.async");
        return;
    }
    /* From now on until its thread has waited, what is there may be old, new or neither. */
    memset(to, 0xff, bytes + zeros_behind);
    lane->copies[lane->copies_asked++ % MOST_COPIES] = (struct copy){to, from, bytes, zeros_behind, lane->group};
}

void scry__emulated_copies_commit(void)
{
    struct lane *lane = own_lane("cp.async.commit_group");
    if (lane) lane->group++;
}

void scry__emulated_copies_wait(int groups_left)
{
    struct lane *lane = own_lane("cp.async.wait_group");
    while (lane && lane->copies_done != lane->copies_asked) {
        const struct copy *copy = &lane->copies[lane->copies_done % MOST_COPIES];
        if ((int)(lane->group - copy->group) <= groups_left) break;
        memcpy(copy->to, copy->from, copy->bytes);
        memset((char *)copy->to + copy->bytes, 0, copy->zeros);
        lane->copies_done++;
    }
}

/* --- running them --- */

static void run_lane(void *context)
{
    struct lane       *lane = context;
    struct scry__crew *crew = lane->crew;
    for (;;) {
        scry__fiber_acquire(&crew->begun);
        crew->launch->kernel->run(crew->launch->parameters, crew->launch->first_block);
        scry__fiber_release(&crew->ended);
        give_way(lane, ENDED, "its end");
    }
}

static struct lane *create_lane(struct scry__crew *crew)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane) return NULL;
    lane->crew = crew;
    if (scry__fiber_create(&lane->fiber, run_lane, lane)) return lane;
    free(lane);
    return NULL;
}

static bool gather(struct scry__crew *crew, unsigned threads)
{
    for (unsigned i = 0; i < threads; i++) {
        if (!crew->lanes[i]) crew->lanes[i] = create_lane(crew);
        struct lane *lane = crew->lanes[i];
        if (!lane) {
            complain(crew, "no memory for", "the threads' stacks");
            return false;
        }
        lane->state = RUNS;
        /* Of a wider launch before this one, some lanes have met more often than others. */
        lane->met[SCRY__OF_BLOCK] = lane->met[SCRY__OF_WARP] = lane->exchanged = 0;
        lane->copies_asked = lane->copies_done = lane->group = 0;
    }
    return true;
}

/* Lets `count` lanes from `first` on go on, if they all wait for each other at one place. */
static bool let_pass(struct scry__crew *crew, unsigned first, unsigned count)
{
    const struct lane *a = crew->lanes[first];
    for (unsigned i = first + 1; i < first + count; i++) {
        const struct lane *b = crew->lanes[i];
        if (a->state == b->state && (a->where == b->where || !strcmp(a->where, b->where))) continue;
        char what[160];
        snprintf(what, sizeof what, "thread %u is at %s where thread %u of its %s is at", first, a->where, i,
                 a->state == AT_WARP || b->state == AT_WARP ? "warp" : "block");
        complain(crew, what, b->where);
        return false;
    }
    for (unsigned i = first; i < first + count; i++) crew->lanes[i]->state = RUNS;
    return true;
}

/* Runs the lanes of a warp until none waits for another of them. */
static bool run_warp(struct scry__crew *crew, unsigned first, bool backwards)
{
    for (bool waits = true; waits;) {
        waits = false;
        for (unsigned i = 0; i < WARP; i++) {
            unsigned     number = first + (backwards ? WARP - 1 - i : i);
            struct lane *lane   = crew->lanes[number];
            if (lane->state == RUNS) {
                scry__emulated_here.thread.x = number;
                scry__fiber_switch(&crew->self, &lane->fiber);
            }
            waits = waits || lane->state == AT_WARP;
        }
        if (waits && !let_pass(crew, first, WARP)) return false;
        backwards = !backwards;
    }
    return true;
}

static void run_flat(struct scry__crew *crew, unsigned threads)
{
#ifdef SCRY_EMULATED_TSAN /* by fibers, which are strangers to each other here too */
    if (!gather(crew, threads)) return;
    scry__fiber_release(&crew->begun);
    for (unsigned i = 0; i < threads; i++) {
        scry__emulated_here.thread.x = i;
        scry__fiber_switch(&crew->self, &crew->lanes[i]->fiber);
    }
    scry__fiber_acquire(&crew->ended);
#else
    for (unsigned i = 0; i < threads; i++) {
        scry__emulated_here.thread.x = i;
        crew->launch->kernel->run(crew->launch->parameters, crew->launch->first_block);
    }
#endif
}

static void run_meeting(struct scry__crew *crew, unsigned threads)
{
    bool       backwards = scry__emulated_here.block.x & 1;
    enum state state     = RUNS;
    scry__fiber_release(&crew->begun);
    while (state != ENDED) {
        for (unsigned i = 0; i < threads; i += WARP)
            if (!run_warp(crew, backwards ? threads - WARP - i : i, backwards)) return;
        backwards = !backwards;
        state     = crew->lanes[0]->state;
        if (!let_pass(crew, 0, threads)) return;
    }
    scry__fiber_acquire(&crew->ended);
}

/* The kernels' __shared__ variables lie between these (shared/), those of one launch and of all others. */
extern __thread unsigned char scry__shared_first[], scry__shared_last[];

static bool prepare_shared(void)
{
    uintptr_t begin = (uintptr_t)scry__shared_first, end = (uintptr_t)scry__shared_last;
    if (begin < end) memset(scry__shared_first, 0xff, end - begin);
    return begin < end;
}

/* Whatever was in the block's memory before is not to be relied on: it is NaN. */
static bool prepare_memory(struct scry__crew *crew, size_t bytes)
{
    if (bytes != crew->memory_bytes || !crew->memory) {
        free(crew->memory);
        crew->memory       = NULL;
        crew->memory_bytes = 0;
        if (posix_memalign((void **)&crew->memory, 128, bytes ? bytes : 1)) return false;
        crew->memory_bytes = bytes;
    }
    memset(crew->memory, 0xff, bytes);
    return true;
}

bool scry__crew_run(struct scry__crew *crew, const struct scry__emulated_launch *launch, unsigned block, char *reason,
                    size_t size)
{
    crew->launch = launch;
    crew->failed = false;
    scry__fiber_adopt(&crew->self);
    if (!prepare_memory(crew, launch->shared_bytes)) complain(crew, "no memory for", "the block's shared memory");
    if (launch->kernel->meets && !prepare_shared()) complain(crew, "elsewhere than expected", "__shared__ variables");
    scry__emulated_here = (struct scry__emulated_place){.block        = {block, 0, 0},
                                                        .block_size   = {launch->threads, 1, 1},
                                                        .grid         = {launch->blocks, 1, 1},
                                                        .block_memory = crew->memory,
                                                        .crew         = crew};
    if (!crew->failed && !launch->kernel->meets) run_flat(crew, launch->threads);
    if (!crew->failed && launch->kernel->meets && gather(crew, launch->threads)) run_meeting(crew, launch->threads);
    if (crew->failed) {
        snprintf(reason, size, "block %u: %s", block, crew->reason);
        dismiss(crew); /* some have not come to their end */
    }
    return !crew->failed;
}
