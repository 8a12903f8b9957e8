/* What every function of the emulated runtime goes through: its lock, errors, and the calls that are told to fail
 * (tests/plugins/faults.h). */
#include "runtime.h"

#include <pthread.h>

#define FAULTS_LIST(X) SCRY__EMULATED_CALL_LIST(X)
#include "../plugins/faults.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static cudaError_t lost; /* the sticky error, given by every later call */
static char        lost_text[320];

static cudaError_t complaint; /* of a call that releases all the same */

static __thread cudaError_t last;

static const bool releases[] = {
#define RELEASES(name, does) does,
    SCRY__EMULATED_CALL_LIST(RELEASES)
#undef RELEASES
};

static void drain(void)
{
    scry__streams_drain();
}

void scry__emulated_lock(void)
{
    pthread_mutex_lock(&lock);
}

cudaError_t scry__emulated_enter(const char *function)
{
    int call = 0, fault;
    while (strcmp(names[call], function)) call++;
    pthread_mutex_lock(&lock);
    bool complains = fails((enum call)call, releases[call], &fault);
    if (releases[call]) {
        complaint = complains ? (cudaError_t)fault : cudaSuccess;
        return cudaSuccess;
    }
    return complains ? (cudaError_t)fault : lost;
}

cudaError_t scry__emulated_leave(cudaError_t code)
{
    if (complaint && !code) code = complaint;
    complaint = cudaSuccess;
    pthread_mutex_unlock(&lock);
    if (code != cudaSuccess) last = code;
    return code;
}

void scry__emulated_lose(cudaError_t code, const char *reason)
{
    if (lost) return;
    lost = code;
    snprintf(lost_text, sizeof lost_text, "%s (%s)", cudaGetErrorString(code), reason);
}

bool scry__emulated_is_lost(void)
{
    return lost != cudaSuccess;
}

void scry__emulated_count(int change)
{
    left += change;
}

const char *cudaGetErrorName(cudaError_t code)
{
    switch ((int)code) {
#define NAME_CASE(name, number, text)                                                                                  \
    case number:                                                                                                       \
        return #name;
        SCRY__EMULATED_ERROR_LIST(NAME_CASE)
#undef NAME_CASE
    default:
        return "unrecognized error code";
    }
}

const char *cudaGetErrorString(cudaError_t code)
{
    if (lost && code == lost && *lost_text) return lost_text;
    switch ((int)code) {
#define TEXT_CASE(name, number, text)                                                                                  \
    case number:                                                                                                       \
        return text;
        SCRY__EMULATED_ERROR_LIST(TEXT_CASE)
#undef TEXT_CASE
    default:
        return "unrecognized error code";
    }
}

cudaError_t cudaPeekAtLastError(void)
{
    return last;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t code = last;
    last             = lost;
    return code;
}
