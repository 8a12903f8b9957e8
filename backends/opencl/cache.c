/* Built programs on disk. See cache.h.
 *
 * A file is `struct head`, the key, the binary. Nothing in it is trusted: sizes are held against the file's own, the
 * checksum covers key and binary, and the driver may still refuse the binary. */
#include "cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BYTES = 1 << 28, MOST_FILES = 512, PATH_BYTES = 4096 };

static const char prefix[] = "opencl-"; /* of the files' names */

struct head {
    char     magic[8];
    uint64_t key_bytes, binary_bytes, checksum;
};

static const char magic[8] = "scrycl\n1";

/* FNV-1a, 64 bits. */
static uint64_t hash(uint64_t seed, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) seed = (seed ^ (unsigned char)bytes[i]) * 0x100000001b3;
    return seed;
}

static const uint64_t hash_seed = 0xcbf29ce484222325;

struct scry__cl_key scry__cl_cache_key(const struct scry__cl *cl, const char *options, const char *const *texts,
                                       int count)
{
    enum { FACT_BYTES = 1024 };
    static const cl_platform_info platform_facts[] = {CL_PLATFORM_NAME, CL_PLATFORM_VERSION};
    static const cl_device_info   device_facts[]   = {CL_DEVICE_VENDOR, CL_DEVICE_NAME, CL_DEVICE_VERSION,
                                                      CL_DRIVER_VERSION};
    const int                     facts            = 2 + 4;

    struct scry__cl_key key  = {0};
    size_t              most = (size_t)facts * FACT_BYTES + strlen(options) + 1;
    for (int i = 0; i < count; i++) most += strlen(texts[i]) + 1;
    key.text = scry__cl_host->allocate(most, 1);
    if (!key.text) return key;
    for (int i = 0; i < facts; i++) {
        char  *fact = key.text + key.size;
        cl_int code = i < 2 ? clGetPlatformInfo(cl->platform, platform_facts[i], FACT_BYTES, fact, NULL)
                            : clGetDeviceInfo(cl->device, device_facts[i - 2], FACT_BYTES, fact, NULL);
        if (code != CL_SUCCESS) goto fail;
        key.size += strlen(fact) + 1;
    }
    for (int i = -1; i < count; i++) {
        const char *text = i < 0 ? options : texts[i];
        memcpy(key.text + key.size, text, strlen(text));
        key.size += strlen(text) + 1;
    }
    return key;

fail:
    scry__cl_host->release(key.text);
    return (struct scry__cl_key){0};
}

/* The cache's directory, made where it is missing; false with errno where there is none. */
static bool find_directory(char *path, size_t size)
{
    static const struct {
        const char *variable, *below;
    } places[] = {{"SCRY_CACHE_DIR", ""}, {"XDG_CACHE_HOME", "/scry"}, {"HOME", "/.cache/scry"}};

    const char *base = NULL;
    size_t      i    = 0;
    for (; i < sizeof places / sizeof *places; i++) {
        base = secure_getenv(places[i].variable);
        if (base && *base == '/') break;
    }
    errno = ENOENT;
    if (i == sizeof places / sizeof *places) return false;
    if ((size_t)snprintf(path, size, "%s%s", base, places[i].below) >= size) return false;
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    return !mkdir(path, 0700) || errno == EEXIST;
}

static bool find_path(char *path, size_t size, const struct scry__cl_key *key)
{
    if (!key->text || !find_directory(path, size)) return false;
    size_t used = strlen(path);
    return (size_t)snprintf(path + used, size - used, "/%s%016llx.bin", prefix,
                            (unsigned long long)hash(hash_seed, key->text, key->size)) < size - used;
}

/* Reads the whole file; NULL where there is none. */
static char *read_whole(const char *path, size_t *size)
{
    struct stat info;
    char       *bytes = NULL;
    int         file  = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return NULL;
    bool sound = !fstat(file, &info) && S_ISREG(info.st_mode) && info.st_size <= MOST_BYTES;
    *size      = sound ? (size_t)info.st_size : 0;
    if (*size) bytes = scry__cl_host->allocate(*size, 1);
    size_t done = 0;
    while (bytes && done < *size) {
        ssize_t got = read(file, bytes + done, *size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += (size_t)got;
    }
    close(file);
    *size = done;
    return bytes;
}

/* The binary in a cache file's bytes; NULL where they are not this key's, or not as they were written. */
static const char *find_binary(const char *bytes, size_t size, const struct scry__cl_key *key, size_t *binary_bytes)
{
    struct head head;
    if (size < sizeof head) return NULL;
    memcpy(&head, bytes, sizeof head);
    size_t rest = size - sizeof head;
    if (memcmp(head.magic, magic, sizeof magic) || head.key_bytes != key->size || key->size > rest ||
        head.binary_bytes != rest - key->size || !head.binary_bytes)
        return NULL;
    const char *found = bytes + sizeof head;
    if (memcmp(found, key->text, key->size) || hash(hash_seed, found, rest) != head.checksum) return NULL;
    *binary_bytes = rest - key->size;
    return found + key->size;
}

static cl_program build_binary(struct scry__cl *cl, const char *binary, size_t size, const char *options)
{
    cl_int               code, refused = CL_SUCCESS;
    const unsigned char *bytes = (const unsigned char *)binary;
    cl_program program         = clCreateProgramWithBinary(cl->context, 1, &cl->device, &size, &bytes, &refused, &code);
    if (code == CL_SUCCESS && refused == CL_SUCCESS &&
        clBuildProgram(program, 1, &cl->device, options, NULL, NULL) == CL_SUCCESS)
        return program;
    if (code == CL_SUCCESS) clReleaseProgram(program);
    return NULL;
}

cl_program scry__cl_cache_load(struct scry__cl *cl, const struct scry__cl_key *key, const char *options)
{
    char path[PATH_BYTES];
    if (!find_path(path, sizeof path, key)) return NULL;
    size_t size, binary_bytes;
    char  *bytes = read_whole(path, &size);
    if (!bytes) return NULL;
    const char *binary  = find_binary(bytes, size, key, &binary_bytes);
    cl_program  program = binary ? build_binary(cl, binary, binary_bytes, options) : NULL;
    if (!program) scry__cl_host->log(SCRY_LOG_DEBUG, "opencl: %s is not usable: it will be replaced", path);
    if (program) utimensat(AT_FDCWD, path, NULL, 0); /* used last */
    scry__cl_host->release(bytes);
    return program;
}

/* Removes the file that was used longest ago where the cache has as many as it may: sources change, and what they leave
 * behind is never asked for again. */
static void make_room(const char *path)
{
    char            directory[PATH_BYTES], oldest[NAME_MAX + 1] = "";
    struct dirent  *entry;
    struct stat     info;
    struct timespec when  = {0};
    int             count = 0;
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
    DIR *folder = opendir(directory);
    while (folder && (entry = readdir(folder))) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) || fstatat(dirfd(folder), entry->d_name, &info, 0)) continue;
        struct timespec used = info.st_mtim;
        count++;
        if (*oldest && (used.tv_sec > when.tv_sec || (used.tv_sec == when.tv_sec && used.tv_nsec >= when.tv_nsec)))
            continue;
        when = used;
        snprintf(oldest, sizeof oldest, "%s", entry->d_name);
    }
    if (count >= MOST_FILES) unlinkat(dirfd(folder), oldest, 0);
    if (folder) closedir(folder);
}

static bool write_all(int file, const void *bytes, size_t size)
{
    for (const char *at = bytes; size;) {
        ssize_t put = write(file, at, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        at += put;
        size -= (size_t)put;
    }
    return true;
}

/* Temporary name, fsync, rename. False with errno. */
static bool write_file(const char *path, const struct scry__cl_key *key, const char *binary, size_t size)
{
    char        temporary[PATH_BYTES + 8];
    struct head head = {.key_bytes    = key->size,
                        .binary_bytes = size,
                        .checksum     = hash(hash(hash_seed, key->text, key->size), binary, size)};
    memcpy(head.magic, magic, sizeof magic);
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int file = mkostemp(temporary, O_CLOEXEC);
    if (file < 0) return false;
    bool done = write_all(file, &head, sizeof head) && write_all(file, key->text, key->size) &&
                write_all(file, binary, size) && !fsync(file);
    int reason = errno;
    done       = !close(file) && done && !rename(temporary, path);
    if (done) return true;
    unlink(temporary);
    errno = reason;
    return false;
}

void scry__cl_cache_save(struct scry__cl *cl, const struct scry__cl_key *key, cl_program program)
{
    char           path[PATH_BYTES];
    size_t         size   = 0;
    unsigned char *binary = NULL;
    bool           saved  = find_path(path, sizeof path, key);
    if (!key->text || (!saved && cl->cache_refused)) return;
    if (saved) {
        if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) != CL_SUCCESS) size = 0;
        if (size && size < MOST_BYTES) binary = scry__cl_host->allocate(size, 1);
        if (!binary || clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) != CL_SUCCESS) {
            scry__cl_host->log(SCRY_LOG_DEBUG, "opencl: the driver gives no binary to cache");
            scry__cl_host->release(binary);
            return;
        }
        make_room(path);
        saved = write_file(path, key, (const char *)binary, size);
    }
    if (!saved && !cl->cache_refused) {
        cl->cache_refused = true;
        scry__cl_host->log(SCRY_LOG_INFO,
                           "opencl: programs are compiled anew each time: the cache cannot be written (%s); "
                           "SCRY_CACHE_DIR names a directory for it",
                           strerror(errno));
    }
    scry__cl_host->release(binary);
}
