/* Fibers: threads of control that one OS thread switches between by itself. Sanitizers are told of each switch; TSan
 * takes each fiber for a thread, and a switch for no synchronisation. */
#ifndef SCRY_EMULATION_FIBER_H
#define SCRY_EMULATION_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct scry__fiber {
    void       *stack_pointer; /* while it does not run */
    const void *stack;         /* its lowest address; an OS thread's own is NULL until ASan says */
    size_t      stack_bytes;
    void (*run)(void *context); /* never returns */
    void *context;
    void *fake_stack; /* ASan's */
    void *thread;     /* TSan's */
};

/* The calling thread's own: to be switched from. */
void scry__fiber_adopt(struct scry__fiber *self);
/* One that begins with run(context) when it is first switched to. False without memory. */
bool scry__fiber_create(struct scry__fiber *fiber, void (*run)(void *context), void *context);
/* One that does not run: its stack is given up as it is. */
void scry__fiber_destroy(struct scry__fiber *fiber);
/* Returns when somebody switches back. */
void scry__fiber_switch(struct scry__fiber *from, struct scry__fiber *to);

/* TSan: what threads did before they release is seen by those that acquire after. */
void scry__fiber_release(void *meeting);
void scry__fiber_acquire(void *meeting);

#endif
