/* Folders that appear whole or not at all, also where their writer is killed; and SHA-256, which checks them. */
#include "base/folder.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/sha256.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- SHA-256 --- */

Test(sha256, digests__are_those_of_the_standard)
{
    static const struct {
        const char *text, *digest;
    } expected[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopq"
         "rstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        char         found[SCRY__SHA256_TEXT];
        scry__sha256 hash;
        size_t       size = strlen(expected[i].text);
        for (size_t piece = 1; piece <= 64; piece++) { /* in whatever pieces it comes */
            scry__sha256_begin(&hash);
            for (size_t at = 0; at < size; at += piece)
                scry__sha256_add(&hash, expected[i].text + at, size - at < piece ? size - at : piece);
            scry__sha256_end(&hash, found);
            cr_expect_str_eq(found, expected[i].digest, "in pieces of %zu", piece);
        }
    }
}

Test(sha256, million__bytes)
{
    char         found[SCRY__SHA256_TEXT], bytes[1000];
    scry__sha256 hash;
    memset(bytes, 'a', sizeof bytes);
    scry__sha256_begin(&hash);
    for (int i = 0; i < 1000; i++) scry__sha256_add(&hash, bytes, sizeof bytes);
    scry__sha256_end(&hash, found);
    cr_expect_str_eq(found, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* --- folders --- */

static char root[128];

static const char *in_root(const char *name)
{
    static char paths[4][256];
    static int  next;
    char       *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void make_root(void)
{
    snprintf(root, sizeof root, "/tmp/scry-folder-%ld/a/b", (long)getpid());
    cr_assert_eq(scry__folder_make(root), SCRY_OK, "%s", scry_last_error());
}

static void remove_root(void)
{
    char **names;
    int    count;
    cr_assert_eq(scry__folder_list(&names, &count, root), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < count; i++)
        if (remove(in_root(names[i]))) cr_expect_eq(scry__folder_remove(in_root(names[i])), SCRY_OK);
    scry__folder_free_names(names, count);
    for (char *slash; strcmp(root, "/tmp"); *slash = 0) {
        cr_assert_eq(rmdir(root), 0, "%s: %s", root, strerror(errno));
        slash = strrchr(root, '/');
    }
}

TestSuite(folder, .init = make_root, .fini = remove_root);

static void expect_names(const char *expected)
{
    char **names;
    int    count;
    char   found[512] = "";
    cr_assert_eq(scry__folder_list(&names, &count, root), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < count; i++) {
        if (i) strcat(found, " ");
        strcat(found, names[i]);
    }
    cr_expect_str_eq(found, expected);
    scry__folder_free_names(names, count);
}

static void put(const char *folder, const char *name, const char *text)
{
    char *path = scry__path_join(folder, name);
    cr_assert(path && !scry__file_write(path, text, strlen(text)), "%s", scry_last_error());
    scry__free(path);
}

static void expect_file(const char *path, const char *expected)
{
    char  *text;
    size_t size;
    cr_assert_eq(scry__file_read(&text, &size, path, 100), SCRY_OK, "%s", scry_last_error());
    cr_expect_str_eq(text, expected);
    scry__free(text);
}

Test(folder, commit__puts_it_in_place_of_what_was_there)
{
    for (int round = 0; round < 2; round++) {
        scry__folder folder;
        cr_assert_eq(scry__folder_begin(&folder, in_root("new")), SCRY_OK, "%s", scry_last_error());
        put(folder.temporary, "text", round ? "second" : "first");
        if (!round) put(folder.temporary, "more", "");
        cr_assert_eq(scry__folder_commit(&folder), SCRY_OK, "%s", scry_last_error());
        scry__folder_abort(&folder);
        expect_names("new");
        expect_file(in_root("new/text"), round ? "second" : "first");
        cr_expect_eq(scry__file_exists(in_root("new/more")), !round);
    }
}

Test(folder, abort__leaves_nothing)
{
    scry__folder folder;
    cr_assert_eq(scry__folder_begin(&folder, in_root("new")), SCRY_OK, "%s", scry_last_error());
    put(folder.temporary, "text", "first");
    scry__folder_abort(&folder);
    expect_names("");
}

Test(folder, sweep__removes_leftovers_alone)
{
    static const char *const folders[] = {"step-3", "step-4.17.part", "step-5.17.old.part", "other.17.part", "step-9p"};
    int                      count;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        cr_assert_eq(scry__folder_make(in_root(folders[i])), SCRY_OK, "%s", scry_last_error());
        put(in_root(folders[i]), "text", "");
    }
    cr_expect_eq(scry__folder_sweep(root, "step-", &count), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(count, 2);
    expect_names("other.17.part step-3 step-9p");
}

Test(folder, discard__removes_it_with_its_files)
{
    cr_assert_eq(scry__folder_make(in_root("step-3")), SCRY_OK, "%s", scry_last_error());
    put(in_root("step-3"), "text", "");
    for (int round = 0; round < 2; round++) { /* what is not there is gone already */
        cr_expect_eq(scry__folder_discard(in_root("step-3")), SCRY_OK, "%s", scry_last_error());
        expect_names("");
    }
}

/* What cannot be removed is a leftover by then. */
Test(folder, failed_discard__leaves_a_leftover)
{
    char **names;
    int    count;
    cr_assert_eq(scry__folder_make(in_root("step-3/inside")), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry__folder_discard(in_root("step-3")), SCRY_IO);
    cr_assert_eq(scry__folder_list(&names, &count, root), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(count, 1);
    cr_expect(!strncmp(names[0], "step-3.", 7) && strstr(names[0], ".old.part"), "%s", names[0]);
    char *inside = scry__path_join(in_root(names[0]), "inside");
    cr_expect_eq(scry__folder_remove(inside), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry__folder_remove(in_root(names[0])), SCRY_OK, "%s", scry_last_error());
    scry__free(inside);
    scry__folder_free_names(names, count);
}

Test(folder, failures__say_which_folder_and_why)
{
    scry__folder folder;
    char       **names;
    int          count, lock, second;
    put(root, "file", "");
    cr_expect_eq(scry__folder_make(in_root("file")), SCRY_IO);
    cr_expect(strstr(scry_last_error(), "file: expected a folder or a new name"), "%s", scry_last_error());
    cr_expect_eq(scry__folder_begin(&folder, in_root("none/new")), SCRY_IO);
    cr_expect(strstr(scry_last_error(), "cannot make this folder"), "%s", scry_last_error());
    cr_expect_eq(scry__folder_list(&names, &count, in_root("none")), SCRY_BAD_INPUT);
    cr_assert_eq(scry__folder_lock(&lock, root), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry__folder_lock(&second, root), SCRY_IO);
    cr_expect(strstr(scry_last_error(), "another process is at work in this folder"), "%s", scry_last_error());
    scry__folder_unlock(lock);
    cr_expect_eq(scry__folder_lock(&lock, root), SCRY_OK, "%s", scry_last_error());
    scry__folder_unlock(lock);
}

/* Writes folders of three files that say which one they belong to, until it is killed. */
static void write_for_ever(void)
{
    for (int i = 0;; i++) {
        scry__folder folder;
        char         text[32];
        snprintf(text, sizeof text, "%d", i);
        if (scry__folder_begin(&folder, in_root(i % 2 ? "step-1" : "step-0"))) _exit(1);
        put(folder.temporary, "a", text);
        put(folder.temporary, "b", text);
        put(folder.temporary, "c", text);
        if (scry__folder_commit(&folder)) _exit(1);
        scry__folder_abort(&folder);
    }
}

/* All three files there, and of one writing. */
static void expect_whole(const char *name)
{
    char  *first = NULL;
    size_t size;
    char   path[64];
    if (!scry__file_exists(in_root(name))) return;
    snprintf(path, sizeof path, "%s/a", name);
    cr_assert_eq(scry__file_read(&first, &size, in_root(path), 100), SCRY_OK, "%s", scry_last_error());
    for (const char *file = "bc"; *file; file++) {
        snprintf(path, sizeof path, "%s/%c", name, *file);
        expect_file(in_root(path), first);
    }
    scry__free(first);
}

Test(folder, killed_writer__leaves_whole_folders_and_leftovers, .timeout = 60)
{
    srand(20261121);
    for (int kill_number = 0; kill_number < 100; kill_number++) {
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (!child) write_for_ever();
        usleep((useconds_t)(rand() % 8000));
        kill(child, SIGKILL);
        int how;
        cr_assert_eq(waitpid(child, &how, 0), child);
        cr_assert(WIFSIGNALED(how), "the writer ended by itself");
        cr_assert_eq(scry__folder_sweep(root, "step-", NULL), SCRY_OK, "%s", scry_last_error());
        expect_whole("step-0");
        expect_whole("step-1");
    }
}
