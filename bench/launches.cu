/* What a pass of many small kernels costs the host, launched in three ways: each kernel enqueued (as backends/cuda
 * does), the pass captured as a graph each time and an executable graph updated to it, and that graph replayed as it
 * is. For tools/gpu-check, where there is a card.
 *
 * Prints one line of JSON: microseconds a kernel, the median of the passes, each waited for. Updating can pay only
 * where its figure is below that of enqueuing; replaying as it is is the bound that no pass with changing parameters
 * reaches. */
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

enum { KERNELS = 100, PASSES = 200, WARM_UP = 20, THREADS = 128 };

/* As large as what a common op takes. */
struct parameters {
    float  *out;
    int64_t numbers[48];
};

__global__ void small(const __grid_constant__ struct parameters p)
{
    p.out[threadIdx.x] = (float)p.numbers[threadIdx.x % 48];
}

static void check(cudaError_t error, const char *what)
{
    if (error == cudaSuccess) return;
    fprintf(stderr, "launches: %s: %s\n", what, cudaGetErrorName(error));
    exit(4);
}

/* A pass whose parameters differ from those of any other. */
static void enqueue(cudaStream_t stream, float *out, int64_t pass)
{
    struct parameters p = {out, {}};
    for (int i = 0; i < KERNELS; i++) {
        for (int64_t &number : p.numbers) number = pass + i;
        small<<<1, THREADS, 0, stream>>>(p);
    }
    check(cudaGetLastError(), "launch");
}

static void update(cudaStream_t stream, float *out, int64_t pass, cudaGraphExec_t *made)
{
    cudaGraph_t graph;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "begin of a capture");
    enqueue(stream, out, pass);
    check(cudaStreamEndCapture(stream, &graph), "end of a capture");
    cudaGraphExecUpdateResultInfo result;
    if (!*made)
        check(cudaGraphInstantiate(made, graph, 0), "making an executable graph");
    else
        check(cudaGraphExecUpdate(*made, graph, &result), "updating a graph");
    check(cudaGraphDestroy(graph), "end of a graph");
    check(cudaGraphLaunch(*made, stream), "launch of a graph");
}

/* Median microseconds for a kernel, of passes that `run` begins. */
template <class Run> static double measure(cudaStream_t stream, Run run)
{
    std::vector<double> times;
    for (int pass = 0; pass < WARM_UP + PASSES; pass++) {
        auto begin = std::chrono::steady_clock::now();
        run(pass);
        check(cudaStreamSynchronize(stream), "waiting");
        std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
        if (pass >= WARM_UP) times.push_back(took.count() / KERNELS);
    }
    std::nth_element(times.begin(), times.begin() + PASSES / 2, times.end());
    return times[PASSES / 2];
}

int main()
{
    cudaStream_t    stream;
    cudaGraphExec_t graph = nullptr;
    float          *out;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
    check(cudaMalloc(&out, THREADS * sizeof *out), "memory");
    double enqueued = measure(stream, [&](int pass) { enqueue(stream, out, pass); });
    double updated  = measure(stream, [&](int pass) { update(stream, out, pass, &graph); });
    double replayed = measure(stream, [&](int) { check(cudaGraphLaunch(graph, stream), "launch of a graph"); });
    printf("{\"kernels\": %d, \"enqueued_us\": %.3f, \"updated_us\": %.3f, \"replayed_us\": %.3f}\n", KERNELS, enqueued,
           updated, replayed);
    cudaGraphExecDestroy(graph);
    cudaFree(out);
    cudaStreamDestroy(stream);
    return 0;
}
