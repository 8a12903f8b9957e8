/* Plugins on disk: where they are looked for, and how one is loaded. See registry.h.
 *
 * Directories, in order: those of $SCRY_PLUGIN_PATH (separated by colons), the one that holds the running library or
 * program, and the one that `cmake --install` fills. */
#include "device/registry.h"

#include "base/error.h"
#include "base/file.h"

#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#ifndef SCRY_PLUGIN_DIR
#error "the build defines SCRY_PLUGIN_DIR"
#endif

static const char prefix[] = "libscry-", suffix[] = ".so";

/* The directory of the object that this code is part of: libscry.so, or the program that contains it. False where it
 * cannot be told. */
static bool own_directory(char *directory, size_t size)
{
    Dl_info self, program;
    char    path[4096];
    if (!dladdr((void *)own_directory, &self)) return false;
    /* The program's own name is whatever it was called by; the kernel knows where it lies. */
    bool is_program = dladdr((void *)getauxval(AT_ENTRY), &program) && program.dli_fbase == self.dli_fbase;
    if (is_program) {
        ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
        if (length < 0) return false;
        path[length] = 0;
    } else {
        snprintf(path, sizeof path, "%s", self.dli_fname);
    }
    char *slash = strrchr(path, '/');
    if (!slash) return false;
    *slash = 0;
    return (size_t)snprintf(directory, size, "%s", path) < size;
}

/* Directory number `index` of the search order; false past the last. An empty one is to be skipped. */
static bool directory_at(int index, char *directory, size_t size)
{
    const char *list = secure_getenv("SCRY_PLUGIN_PATH");
    *directory       = 0;
    while (list) {
        const char *end    = strchrnul(list, ':');
        size_t      length = (size_t)(end - list);
        if (index-- == 0) {
            if (length < size) snprintf(directory, size, "%.*s", (int)length, list);
            return true;
        }
        list = *end ? end + 1 : NULL;
    }
    if (index == 0 && !own_directory(directory, size)) *directory = 0;
    if (index == 1) snprintf(directory, size, "%s", SCRY_PLUGIN_DIR);
    return index <= 1;
}

bool scry__plugin_find(const char *name, char *path, size_t size)
{
    char directory[4096];
    for (int i = 0; directory_at(i, directory, sizeof directory); i++) {
        if (!*directory) continue;
        int length = snprintf(path, size, "%s/%s%s%s", directory, prefix, name, suffix);
        if (length > 0 && (size_t)length < size && scry__file_exists(path)) return true;
    }
    return false;
}

/* The NAME of libscry-NAME.so; false where the file is none, or NAME is no backend's name. */
static bool plugin_name(const char *file, char name[SCRY__BACKEND_NAME])
{
    size_t length = strlen(file), around = sizeof prefix - 1 + sizeof suffix - 1;
    if (length <= around || length - around >= SCRY__BACKEND_NAME) return false;
    if (strncmp(file, prefix, sizeof prefix - 1) || strcmp(file + length - (sizeof suffix - 1), suffix)) return false;
    length -= around;
    memcpy(name, file + sizeof prefix - 1, length);
    name[length] = 0;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == length;
}

void scry__plugin_scan(void (*found)(const char *name))
{
    char directory[4096], name[SCRY__BACKEND_NAME];
    for (int i = 0; directory_at(i, directory, sizeof directory); i++) {
        DIR *files = *directory ? opendir(directory) : NULL;
        if (!files) continue;
        for (const struct dirent *file; (file = readdir(files));)
            if (plugin_name(file->d_name, name)) found(name);
        closedir(files);
    }
}

/* The loader maps what an ELF file's headers promise; touching a page that a truncated file lacks would kill the
 * process, so the promise is checked first. */
static bool file_is_whole(const char *path, char *reason, size_t size)
{
    scry__map map;
    ElfW(Ehdr) header;
    bool whole = false;
    if (scry__map_open(&map, path)) {
        snprintf(reason, size, "%s", scry_last_error());
        return false;
    }
    if (map.size >= sizeof header) {
        memcpy(&header, map.data, sizeof header);
        bool     is_elf   = !memcmp(header.e_ident, ELFMAG, SELFMAG);
        uint64_t table    = (uint64_t)header.e_shnum * header.e_shentsize;
        whole             = is_elf && header.e_shoff <= map.size && table <= map.size - header.e_shoff;
        uint64_t segments = (uint64_t)header.e_phnum * header.e_phentsize;
        whole             = whole && header.e_phentsize == sizeof(ElfW(Phdr)) && header.e_phoff <= map.size &&
                segments <= map.size - header.e_phoff;
        for (int i = 0; whole && i < header.e_phnum; i++) {
            ElfW(Phdr) segment;
            memcpy(&segment, map.data + header.e_phoff + (size_t)i * sizeof segment, sizeof segment);
            whole = segment.p_offset <= map.size && segment.p_filesz <= map.size - segment.p_offset;
        }
    }
    if (!whole) snprintf(reason, size, "%s: not a whole shared object", path);
    scry__map_close(&map);
    return whole;
}

const struct scry_backend *scry__plugin_load(const char *path, const char *name, char *reason, size_t size)
{
    if (!file_is_whole(path, reason, size)) return NULL;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(reason, size, "%s", dlerror());
        return NULL;
    }
    scry_backend_entry_function *entry;
    *(void **)&entry = dlsym(library, SCRY_BACKEND_ENTRY);
    if (!entry) {
        snprintf(reason, size, "%s: exports no %s", path, SCRY_BACKEND_ENTRY);
        goto fail;
    }
    char detail[192];
    scry__fail(SCRY_OK, "%s", "");
    const struct scry_backend *backend = entry(&scry__host);
    if (scry__backend_refuse(backend, name, detail, sizeof detail)) {
        snprintf(reason, size, "%s: %s", path, detail);
        goto fail;
    }
    return backend;

fail:
    dlclose(library);
    return NULL;
}
