/* Fibers. See fiber.h.
 *
 * A switch saves the registers that a called function must keep on the stack, and takes up another stack: a dozen
 * instructions, where the system's own swapcontext would ask the kernel for the signal mask each time.
 * SCRY_EMULATED_ASAN or SCRY_EMULATED_TSAN says which sanitizer the build has, if any. */
#include "fiber.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Sanitized frames are larger. Pages are taken when they are touched. */
#if defined(SCRY_EMULATED_ASAN) || defined(SCRY_EMULATED_TSAN)
enum { STACK_BYTES = 256 << 10 };
#else
enum { STACK_BYTES = 64 << 10 };
#endif

/* switch_stacks(&from->stack_pointer, to->stack_pointer); first_run(): where a new fiber comes to, its own address in a
 * register that switch_stacks has restored. */
void                       switch_stacks(void **from, void *to) __asm__("scry__fiber_switch_stacks");
void                       first_run(void) __asm__("scry__fiber_first_run");
__attribute__((used)) void run_fiber(struct scry__fiber *fiber) __asm__("scry__fiber_run");

#if defined(__x86_64__)
enum { SAVED = 7, FIBER_AT = 3, ENTRY_AT = 6 }; /* words; r12 holds the fiber */
__asm__(".text\n"
        ".type scry__fiber_switch_stacks, @function\n"
        "scry__fiber_switch_stacks:\n"
        "    push %rbp\n    push %rbx\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbx\n    pop %rbp\n"
        "    ret\n"
        ".type scry__fiber_first_run, @function\n"
        "scry__fiber_first_run:\n"
        "    mov %r12, %rdi\n"
        "    call scry__fiber_run\n"
        "    ud2\n");
#elif defined(__aarch64__)
enum { SAVED = 20, FIBER_AT = 0, ENTRY_AT = 11 }; /* words; x19 holds the fiber, x30 the entry */
__asm__(".text\n"
        ".type scry__fiber_switch_stacks, %function\n"
        "scry__fiber_switch_stacks:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n    stp x21, x22, [sp, #16]\n    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n    stp x27, x28, [sp, #64]\n    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n    stp d10, d11, [sp, #112]\n    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n    str x9, [x0]\n    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n    ldp x21, x22, [sp, #16]\n    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n    ldp x27, x28, [sp, #64]\n    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n    ldp d10, d11, [sp, #112]\n    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".type scry__fiber_first_run, %function\n"
        "scry__fiber_first_run:\n"
        "    mov x0, x19\n"
        "    bl scry__fiber_run\n"
        "    brk #0\n");
#else
#error "kernels are emulated on x86-64 and AArch64"
#endif

/* --- sanitizers --- */

#ifdef SCRY_EMULATED_ASAN
void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *saved, const void **bottom, size_t *size);
void __asan_unpoison_memory_region(const volatile void *memory, size_t bytes);
#endif
#ifdef SCRY_EMULATED_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void  __tsan_destroy_fiber(void *fiber);
void  __tsan_switch_to_fiber(void *fiber, unsigned flags);
void  __tsan_acquire(void *address);
void  __tsan_release(void *address);
enum { WITHOUT_SYNCHRONISATION = 1 };
#endif

void scry__fiber_release(void *meeting)
{
#ifdef SCRY_EMULATED_TSAN
    __tsan_release(meeting);
#endif
    (void)meeting;
}

void scry__fiber_acquire(void *meeting)
{
#ifdef SCRY_EMULATED_TSAN
    __tsan_acquire(meeting);
#endif
    (void)meeting;
}

static __thread struct scry__fiber *previous; /* the one that was switched from last */

/* The first thing on a stack that was switched to. */
static void arrive(struct scry__fiber *self)
{
#ifdef SCRY_EMULATED_ASAN
    __sanitizer_finish_switch_fiber(self->fake_stack, &previous->stack, &previous->stack_bytes);
#endif
    (void)self;
}

void run_fiber(struct scry__fiber *fiber)
{
    arrive(fiber);
    fiber->run(fiber->context);
}

void scry__fiber_switch(struct scry__fiber *from, struct scry__fiber *to)
{
    previous = from;
#ifdef SCRY_EMULATED_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_bytes);
#endif
#ifdef SCRY_EMULATED_TSAN
    __tsan_switch_to_fiber(to->thread, WITHOUT_SYNCHRONISATION);
#endif
    switch_stacks(&from->stack_pointer, to->stack_pointer);
    arrive(from);
}

void scry__fiber_adopt(struct scry__fiber *self)
{
    *self = (struct scry__fiber){0};
#ifdef SCRY_EMULATED_TSAN
    self->thread = __tsan_get_current_fiber();
#endif
}

/* Below each stack lies a page that nobody may touch. */
bool scry__fiber_create(struct scry__fiber *fiber, void (*run)(void *context), void *context)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = STACK_BYTES + page;
    char  *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) return false;
    mprotect(stack, page, PROT_NONE);
    *fiber = (struct scry__fiber){.stack = stack + page, .stack_bytes = STACK_BYTES, .run = run, .context = context};
    /* As if it had been switched from in first_run's first instruction, on a stack aligned as calls want it. */
    uintptr_t *top       = (uintptr_t *)(void *)(stack + bytes) - SAVED;
    top[FIBER_AT]        = (uintptr_t)fiber;
    top[ENTRY_AT]        = (uintptr_t)first_run;
    fiber->stack_pointer = top;
#ifdef SCRY_EMULATED_TSAN
    fiber->thread = __tsan_create_fiber(0);
#endif
    return true;
}

void scry__fiber_destroy(struct scry__fiber *fiber)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!fiber->stack) return;
#ifdef SCRY_EMULATED_ASAN
    __asan_unpoison_memory_region(fiber->stack, fiber->stack_bytes);
#endif
#ifdef SCRY_EMULATED_TSAN
    __tsan_destroy_fiber(fiber->thread);
#endif
    munmap((char *)fiber->stack - page, fiber->stack_bytes + page);
    *fiber = (struct scry__fiber){0};
}
