/* stream.cu: the operations of stream on a CUDA device.

   vector      16-byte accesses, one short chunk a block, streaming stores (read: see persistent, whose sum is not a
               reduction a block)
   persistent  the same code, as many blocks as the device holds, each taking chunk after chunk
   bulk        the copy engine of each multiprocessor (cp.async.bulk, compute capability 9.0) moves tiles to shared
               memory and back; threads only compute, and in a copy they do nothing
   memcpy      cudaMemcpyAsync, the vendor's copy

   Floor: bytes over memory bandwidth; at 4.8 TB/s a copy of 4 GiB takes 1.79 ms. To keep such a memory busy about
   4 MB must be in flight (4.8 TB/s x 0.8 us), 30 KiB a multiprocessor: 2048 threads with one 16-byte load each would
   just do, hence 192 KiB of tiles.

   NOTES. Tried on an H200 at 4 GiB an array, GB/s: copy by one 16-byte access a thread in blocks of 128, .cs stores
   4279, plain stores 4187, four accesses a thread 4096, grid-stride 3959, bulk copies 3905..3989 whatever tile and
   depth, cudaMemcpyAsync 4258; triad 4146 with one access a thread and array, 4334 with four; read 3366 with one, 4600
   with eight; fill 4682 with one in blocks of 256. So many short blocks beat long-lived ones: the memory sees fewer
   pages at a time. */
#include "bench/check.h"
#include "bench/cuda.h"
#include "kernels/lib/bulk_copy.h"
#include "kernels/stream_device.h"

enum { BULK_THREADS = 256, TILE = 16384, TILES_BYTES = 12 * TILE };

/* run->device_state, in host memory. */
struct stream_device {
    struct stream_arguments arguments;
    const void *kernel;
    unsigned blocks, threads;
    size_t shared_bytes;
    unsigned long long *worst;
    int64_t *sample_index;
    double *sample;
};

/* A chunk is THREADS_OF x UNROLL_OF vectors; thread t takes vectors t, t + THREADS_OF, ... of it. whole: none of them
   lies past the end. Returns the sum for READ. All loads are issued before the first store. */
#define ONE_IN_ONE_OUT(operation) ((operation) == COPY || (operation) == SCALE)
#define THREADS_OF(operation) (ONE_IN_ONE_OUT(operation) ? 128 : 256)
#define UNROLL_OF(operation)                                                                                           \
    (ONE_IN_ONE_OUT(operation) || (operation) == FILL ? 1 : STREAM_INPUTS(operation) == 2 ? 4 : 8)
template <enum operation operation, typename type, bool whole>
static __device__ type do_chunk(const struct stream_arguments *arguments, size_t start, size_t vectors) {
    const uint4 *first = (const uint4 *)arguments->first + start, *second = (const uint4 *)arguments->second + start;
    uint4 *out = (uint4 *)arguments->out + start, a[UNROLL_OF(operation)] = {}, b[UNROLL_OF(operation)] = {};
    type sum = 0;
#pragma unroll
    for (unsigned i = 0; i < UNROLL_OF(operation); i++) {
        unsigned at = threadIdx.x + i * THREADS_OF(operation);
        if (!whole && start + at >= vectors) break;
        if (STREAM_INPUTS(operation) > 0) a[i] = load_once(first + at);
        if (STREAM_INPUTS(operation) > 1) b[i] = load_once(second + at);
    }
#pragma unroll
    for (unsigned i = 0; i < UNROLL_OF(operation); i++) {
        unsigned at = threadIdx.x + i * THREADS_OF(operation);
        if (!whole && start + at >= vectors) break;
        if (operation == READ) sum += sum_of<type>(a[i]);
        else if (operation == FILL) out[at] = combine<operation, type>(a[i], b[i]);
        else __stcs(&out[at], combine<operation, type>(a[i], b[i])); /* written once: leave the L2 to the loads */
    }
    return sum;
}

/* whole: the array is a number of whole chunks. Asking each time costs triad 3 % of the bandwidth (H200), copy nothing. */
template <enum operation operation, typename type, bool whole>
static __global__ void __launch_bounds__(THREADS_OF(operation))
    stream_vector(const __grid_constant__ struct stream_arguments arguments) {
    const size_t chunk = THREADS_OF(operation) * UNROLL_OF(operation), vectors = arguments.bytes / sizeof(uint4);
    double sum = 0;
    for (size_t start = blockIdx.x * chunk; start < vectors; start += gridDim.x * chunk)
        sum += (double)do_chunk<operation, type, whole>(&arguments, start, vectors);
    if (operation == READ) finish_sum(&arguments, sum);
}

/* Bulk copies. A stage is a tile of each input in shared memory and a barrier that counts the bytes still to come. One
   thread of the block issues all copies; results take the place of the first input's tile. */
#define STAGES_OF(operation) (STREAM_INPUTS(operation) == 2 ? 6 : 12)

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
/* The block's k-th tile is tile blockIdx.x + k gridDim.x of the arrays. */
static __device__ size_t tile_offset(size_t k) {
    return (blockIdx.x + k * gridDim.x) * TILE;
}

static __device__ unsigned tile_bytes(const struct stream_arguments *arguments, size_t k) {
    size_t rest = arguments->bytes - tile_offset(k);
    return rest < TILE ? (unsigned)rest : TILE;
}

template <enum operation operation>
static __device__ void load_stage(const struct stream_arguments *arguments, size_t k, unsigned char *tile,
                                  uint64_t *barrier) {
    unsigned bytes = tile_bytes(arguments, k);
    barrier_expect(barrier, STREAM_INPUTS(operation) * bytes);
    bulk_load(tile, (const char *)arguments->first + tile_offset(k), bytes, barrier);
    if (STREAM_INPUTS(operation) == 2)
        bulk_load(tile + TILE, (const char *)arguments->second + tile_offset(k), bytes, barrier);
}

/* The tiles of stage k in place, by all threads; the sum for READ. */
template <enum operation operation, typename type>
static __device__ type compute_stage(unsigned char *tile, unsigned bytes) {
    uint4 *a = (uint4 *)tile, *b = (uint4 *)(tile + TILE);
    type sum = 0;
    for (unsigned i = threadIdx.x; i < bytes / sizeof(uint4); i += BULK_THREADS) {
        if (operation == READ) sum += sum_of<type>(a[i]);
        else a[i] = combine<operation, type>(a[i], STREAM_INPUTS(operation) == 2 ? b[i] : a[i]);
    }
    return sum;
}

/* In iteration k the store of tile k is issued, and the stage whose store was issued LAG iterations ago is loaded
   again: by then it has been read. Where nothing is stored the stage is free when all threads have passed it. */
template <enum operation operation, typename type>
static __device__ double run_stages(const struct stream_arguments *arguments, size_t count, unsigned char *tiles,
                                    uint64_t *barriers) {
    const unsigned stages = STAGES_OF(operation), stage_bytes = TILE * STREAM_INPUTS(operation);
    const int lag = operation == READ ? 0 : STAGES_OF(operation) / 3;
    double sum = 0;
    if (operation == COPY && threadIdx.x != 0) return 0; /* nothing to compute */
    for (size_t k = 0; threadIdx.x == 0 && k < stages && k < count; k++)
        load_stage<operation>(arguments, k, tiles + k * stage_bytes, &barriers[k]);
    for (size_t k = 0; k < count; k++) {
        unsigned stage = (unsigned)(k % stages), bytes = tile_bytes(arguments, k);
        unsigned char *tile = tiles + stage * stage_bytes;
        barrier_wait(&barriers[stage], (unsigned)(k / stages) & 1);
        if (operation != COPY) {
            sum += (double)compute_stage<operation, type>(tile, bytes);
            if (operation != READ) fence_for_copy_engine();
            __syncthreads();
        }
        if (threadIdx.x != 0) continue;
        if (operation != READ) {
            bulk_store((char *)arguments->out + tile_offset(k), tile, bytes);
            bulk_store_wait<lag>();
        }
        size_t next = k + stages - lag;
        if (next >= stages && next < count)
            load_stage<operation>(arguments, next, tiles + next % stages * stage_bytes, &barriers[next % stages]);
    }
    return sum;
}

/* fill: one tile, stored again and again. */
template <typename type>
static __device__ void store_tiles(const struct stream_arguments *arguments, size_t count, unsigned char *tile) {
    compute_stage<FILL, type>(tile, TILE);
    fence_for_copy_engine();
    __syncthreads();
    for (size_t k = 0; threadIdx.x == 0 && k < count; k++) {
        bulk_store((char *)arguments->out + tile_offset(k), tile, tile_bytes(arguments, k));
        bulk_store_wait<12>();
    }
}
#endif

template <enum operation operation, typename type>
static __global__ void __launch_bounds__(BULK_THREADS, 1)
    stream_bulk(const __grid_constant__ struct stream_arguments arguments) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    extern __shared__ __align__(128) unsigned char tiles[];
    __shared__ uint64_t barriers[STAGES_OF(operation)];
    size_t all = (arguments.bytes + TILE - 1) / TILE;
    size_t count = blockIdx.x < all ? (all - blockIdx.x + gridDim.x - 1) / gridDim.x : 0;
    double sum = 0;
    for (unsigned stage = 0; threadIdx.x == 0 && stage < STAGES_OF(operation); stage++) barrier_start(&barriers[stage]);
    barriers_started();
    __syncthreads();
    if (operation == FILL) store_tiles<type>(&arguments, count, tiles);
    else sum = run_stages<operation, type>(&arguments, count, tiles, barriers);
    bulk_store_wait<0>();
    if (operation == READ) finish_sum(&arguments, sum);
#else
    __trap(); /* decline_bulk keeps us from here */
#endif
}

#define KERNEL_PAIR(kernel, operation, ...)                                                                            \
    {(const void *)kernel<operation, double __VA_OPT__(, ) __VA_ARGS__>,                                               \
     (const void *)kernel<operation, float __VA_OPT__(, ) __VA_ARGS__>}
#define KERNELS(kernel, ...)                                                                                           \
    {                                                                                                                  \
        KERNEL_PAIR(kernel, COPY __VA_OPT__(, ) __VA_ARGS__), KERNEL_PAIR(kernel, SCALE __VA_OPT__(, ) __VA_ARGS__),   \
            KERNEL_PAIR(kernel, ADD __VA_OPT__(, ) __VA_ARGS__), KERNEL_PAIR(kernel, TRIAD __VA_OPT__(, ) __VA_ARGS__), \
            KERNEL_PAIR(kernel, READ __VA_OPT__(, ) __VA_ARGS__), KERNEL_PAIR(kernel, FILL __VA_OPT__(, ) __VA_ARGS__), \
    }
static const void *const vector_kernels[2][OPERATION_COUNT][2] = {KERNELS(stream_vector, false),
                                                                  KERNELS(stream_vector, true)}; /* by whole */
static const void *const bulk_kernels[OPERATION_COUNT][2] = KERNELS(stream_bulk);

/* Elements of arrays are dealt out to all threads of the grid. */
static __device__ size_t first_element(void) {
    return blockIdx.x * (size_t)blockDim.x + threadIdx.x;
}

static __device__ size_t next_element(size_t i) {
    return i + (size_t)gridDim.x * blockDim.x;
}

static __global__ void make_input(struct stream_case task, int input, void *array) {
    for (size_t i = first_element(); i < task.count; i = next_element(i)) {
        double value = stream_value(&task, input, i);
        if (task.single) ((float *)array)[i] = (float)value;
        else ((double *)array)[i] = value;
    }
}

static __device__ double element(const struct stream_case *task, const void *out, size_t i) {
    return task->single ? ((const float *)out)[i] : ((const double *)out)[i];
}

/* The largest |out - expected|; not negative, so that its bits are ordered as it is. A NaN becomes infinity. */
static __global__ void compare_all(struct stream_case task, const void *out, unsigned long long *worst) {
    double largest = 0;
    for (size_t i = first_element(); i < task.count; i = next_element(i)) {
        double error = fabs(element(&task, out, i) - stream_expected(&task, i));
        largest = fmax(largest, error < INFINITY ? error : INFINITY);
    }
    if (largest > 0) atomicMax(worst, (unsigned long long)__double_as_longlong(largest));
}

static __global__ void gather(struct stream_case task, const void *out, const int64_t *index, int64_t count,
                              double *sample) {
    int64_t i = (int64_t)first_element();
    if (i < count) sample[i] = element(&task, out, (size_t)index[i]);
}

static int attribute(struct run *run, enum cudaDeviceAttr which) {
    int device, value;
    CUDA_CHECK(run, cudaGetDevice(&device));
    CUDA_CHECK(run, cudaDeviceGetAttribute(&value, which, device));
    return value;
}

static void *input(struct run *run, const struct stream_case *task, int which) {
    void *array = bench_device_alloc(run, task->bytes);
    make_input<<<4096, 256, 0, run->stream>>>(*task, which, array);
    CUDA_CHECK_LAUNCH(run);
    return array;
}

/* Arrays, the output and the helpers of fetch; the variant's own setup has filled in kernel and threads. */
static void setup_arrays(struct run *run, struct stream_device *device) {
    struct stream_state *state = (struct stream_state *)run->state;
    const struct stream_case *task = &state->task;
    const size_t result_bytes = RESULT_COPIES * sizeof(double);
    struct stream_arguments *arguments = &device->arguments;
    arguments->bytes = task->bytes;
    if (STREAM_INPUTS(task->operation) > 0) arguments->first = input(run, task, 0);
    if (STREAM_INPUTS(task->operation) > 1) arguments->second = input(run, task, 1);
    if (task->operation == READ) {
        arguments->partial = (double *)bench_device_alloc(run, device->blocks * sizeof(double));
        arguments->ticket = (unsigned *)bench_device_alloc(run, sizeof(unsigned));
        CUDA_CHECK(run, cudaMemsetAsync(arguments->ticket, 0, sizeof(unsigned), run->stream));
        arguments->result = (double *)bench_device_alloc(run, result_bytes);
        bench_output(run, arguments->result, result_bytes, PLACE_DEVICE, false);
        return;
    }
    arguments->out = bench_device_alloc(run, task->bytes);
    bench_output(run, arguments->out, task->bytes, PLACE_DEVICE, false);
    state->sample_count = sample_rows((int64_t)task->count, SAMPLES, run->seed, state->sample_index);
    device->worst = (unsigned long long *)bench_device_alloc(run, sizeof *device->worst);
    device->sample = (double *)bench_device_alloc(run, SAMPLES * sizeof *device->sample);
    device->sample_index = (int64_t *)bench_device_alloc(run, SAMPLES * sizeof *device->sample_index);
    CUDA_CHECK(run, cudaMemcpy(device->sample_index, state->sample_index,
                               (size_t)state->sample_count * sizeof(int64_t), cudaMemcpyHostToDevice));
}

static struct stream_device *new_device(struct run *run) {
    struct stream_device *device = (struct stream_device *)bench_alloc(run, sizeof *device);
    run->device_state = device;
    return device;
}

/* Blocks for every chunk, or as many as the device holds at once. */
static void setup_vector(struct run *run, bool persistent) {
    const struct stream_case *task = &((struct stream_state *)run->state)->task;
    struct stream_device *device = new_device(run);
    int threads = THREADS_OF(task->operation);
    size_t chunk = (size_t)threads * UNROLL_OF(task->operation) * sizeof(uint4);
    size_t chunks = (task->bytes + chunk - 1) / chunk;
    device->kernel = vector_kernels[task->bytes % chunk == 0][task->operation][task->single];
    device->threads = (unsigned)threads;
    int resident;
    CUDA_CHECK(run, cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, device->kernel, threads, 0));
    size_t most = (size_t)resident * (size_t)attribute(run, cudaDevAttrMultiProcessorCount);
    device->blocks = (unsigned)(persistent && most < chunks ? most : chunks);
    setup_arrays(run, device);
}

static void setup_chunks(struct run *run) {
    setup_vector(run, false);
}

static void setup_persistent(struct run *run) {
    setup_vector(run, true);
}

static const char *decline_bulk(const struct run *run) {
    static const char *const reason = "needs compute capability 9.0, on the device and in the build";
    struct cudaFuncAttributes attributes;
    enum operation operation = (enum operation)run->value[AXIS_OPERATION];
    cudaError_t status = cudaFuncGetAttributes(&attributes, bulk_kernels[operation][0]);
    if (status != cudaSuccess) cudaGetLastError();
    return status == cudaSuccess && attributes.ptxVersion >= 90 ? NULL : reason;
}

static void setup_bulk(struct run *run) {
    const struct stream_case *task = &((struct stream_state *)run->state)->task;
    struct stream_device *device = new_device(run);
    size_t tiles = (task->bytes + TILE - 1) / TILE, most = (size_t)attribute(run, cudaDevAttrMultiProcessorCount);
    device->kernel = bulk_kernels[task->operation][task->single];
    device->threads = BULK_THREADS;
    device->blocks = (unsigned)(most < tiles ? most : tiles);
    device->shared_bytes = TILES_BYTES;
    CUDA_CHECK(run, cudaFuncSetAttribute(device->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, TILES_BYTES));
    setup_arrays(run, device);
}

static void launch(struct run *run) {
    struct stream_device *device = (struct stream_device *)run->device_state;
    void *arguments[] = {&device->arguments};
    CUDA_CHECK(run, cudaLaunchKernel(device->kernel, device->blocks, device->threads, arguments, device->shared_bytes,
                                     run->stream));
}

static const char *decline_memcpy(const struct run *run) {
    return run->value[AXIS_OPERATION] == COPY ? NULL : "it copies only";
}

static bool covers_memcpy(const struct run *run) {
    return run->value[AXIS_OPERATION] == COPY;
}

static void setup_memcpy(struct run *run) {
    setup_arrays(run, new_device(run));
}

static void run_memcpy(struct run *run) {
    const struct stream_arguments *arguments = &((struct stream_device *)run->device_state)->arguments;
    CUDA_CHECK(run, cudaMemcpyAsync(arguments->out, arguments->first, arguments->bytes, cudaMemcpyDeviceToDevice,
                                    run->stream));
}

static void fetch(struct run *run) {
    struct stream_state *state = (struct stream_state *)run->state;
    const struct stream_device *device = (const struct stream_device *)run->device_state;
    const struct stream_arguments *arguments = &device->arguments;
    if (state->task.operation == READ) {
        CUDA_CHECK(run, cudaMemcpy(state->total, arguments->result, sizeof state->total, cudaMemcpyDeviceToHost));
        return;
    }
    CUDA_CHECK(run, cudaMemsetAsync(device->worst, 0, sizeof *device->worst, run->stream));
    compare_all<<<4096, 256, 0, run->stream>>>(state->task, arguments->out, device->worst);
    CUDA_CHECK_LAUNCH(run);
    gather<<<SAMPLES / 256, 256, 0, run->stream>>>(state->task, arguments->out, device->sample_index,
                                                   state->sample_count, device->sample);
    CUDA_CHECK_LAUNCH(run);
    CUDA_CHECK(run, cudaMemcpy(&state->worst, device->worst, sizeof state->worst, cudaMemcpyDeviceToHost));
    CUDA_CHECK(run, cudaMemcpy(state->sample, device->sample, sizeof state->sample, cudaMemcpyDeviceToHost));
}

const struct variant cuda_variants[] = {
    {.name = "vector", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_chunks, .run = launch, .fetch = fetch},
    {.name = "persistent", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_persistent, .run = launch,
     .fetch = fetch},
    {.name = "bulk", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_bulk, .setup = setup_bulk,
     .run = launch, .fetch = fetch},
    {.name = "memcpy", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_memcpy, .setup = setup_memcpy,
     .run = run_memcpy, .fetch = fetch, .covers = covers_memcpy},
    {}};
