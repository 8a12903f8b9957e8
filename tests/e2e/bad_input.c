/* Hostile arguments and files through the program: the documented exit code, a message that names the place and what
 * was expected, nothing on stdout but the error as an object with --json, and no file left behind. */
#include "program.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LLAMA SCRY_SOURCE_DIR "/tests/fixtures/models/llama"

TestSuite(bad_input, .init = make_folder, .fini = remove_folder);

static int count_files(const char *path)
{
    int            count  = 0;
    DIR           *folder = opendir(path);
    struct dirent *entry;
    cr_assert_not_null(folder, "%s", path);
    while ((entry = readdir(folder))) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* Nothing, or the refusal as an object where --json was asked for. */
static bool is_silent_or_error(const struct outcome *outcome)
{
    json_t *object = json_loadb(outcome->out, outcome->out_size, JSON_REJECT_DUPLICATES, NULL);
    json_t *code   = json_object_get(object, "exit_code");
    bool    is_ok  = !outcome->out_size || json_integer_value(code) == outcome->exit_code;
    json_decref(object);
    return is_ok;
}

/* Runs the command and expects a refusal whose message holds both texts. */
static void expect_refusal(const char *const *arguments, int exit_code, const char *names, const char *says)
{
    int            before  = count_files(in_folder("."));
    struct outcome outcome = run_scry(arguments);
    cr_expect_eq(outcome.exit_code, exit_code, "%s: exit code %d: %s", says, outcome.exit_code, outcome.err);
    cr_expect(is_silent_or_error(&outcome), "%s: stdout: %s", says, outcome.out);
    cr_expect(strstr(outcome.err, "scry: ") && strstr(outcome.err, names) && strstr(outcome.err, says),
              "expected \"%s\" and \"%s\", got: %s", names, says, outcome.err);
    cr_expect_eq(count_files(in_folder(".")), before, "%s: a file was left behind", says);
    outcome_free(&outcome);
}

/* --- Arguments --- */

/* "@" in front of an argument puts it into the test's folder. */
struct bad_arguments {
    const char *arguments[12];
    int         exit_code;
    const char *names, *says;
};

static void expect_refusals(const struct bad_arguments *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *arguments[16] = {0};
        for (size_t j = 0; cases[i].arguments[j]; j++)
            arguments[j] = *cases[i].arguments[j] == '@' ? in_folder(cases[i].arguments[j] + 1) : cases[i].arguments[j];
        expect_refusal(arguments, cases[i].exit_code, cases[i].names, cases[i].says);
    }
}

Test(bad_input, options__are_refused_by_name)
{
    static const struct bad_arguments cases[] = {
        {{"nonesuch"}, 2, "nonesuch", "no command"},
        {{"lens", "--nonesuch"}, 2, "--nonesuch", "no option"},
        {{"lens", "--nonesuch", "--json"}, 2, "--nonesuch", "no option"},
        {{"lens", "-Z", "text"}, 2, "-Z", "no option"},
        {{"lens", "--json=yes", "text"}, 2, "json", "takes no value"},
        {{"lens", "text", "--top"}, 2, "top", "expected a value"},
        {{"lens", "--top", "0", "text"}, 2, "top", "expected a whole number from 1"},
        {{"lens", "--top", "1.5", "text"}, 2, "top", "expected a whole number"},
        {{"lens", "--top", "nan", "text"}, 2, "top", "expected a whole number"},
        {{"lens", "--top", "99999999999999999999", "text"}, 2, "top", "expected a whole number"},
        {{"run", "--temperature", "-1", "text"}, 2, "temperature", "expected a number from 0"},
        {{"run", "--temperature", "inf", "text"}, 2, "temperature", "expected a number from 0"},
        {{"run", "--seed", "-1", "text"}, 2, "seed", "expected a whole number"},
        {{"run", "--seed", "18446744073709551616", "text"}, 2, "seed", "expected a whole number"},
        {{"attn", "--queries", "3:1", "text"}, 2, "queries", "expected BEGIN:END"},
        {{"lens", "two", "texts"}, 2, "texts", "in quotes where it has spaces"},
        {{"lens"}, 2, "TEXT", "nothing to read"},
        {{"lens", "text", "--ids", "1"}, 2, "--ids", "expected one of them"},
        {{"lens", "text", "--target", "a", "--target-id", "1"}, 2, "--target-id", "expected one of them"},
        {{"lens", "text", "--next", "--target-id", "1"}, 2, "--next", "expected one of them"},
        {{"devices", "text"}, 2, "text", "unexpected argument"},
    };
    expect_refusals(cases, sizeof cases / sizeof *cases);
}

Test(bad_input, prompts__are_refused_where_they_are_wrong)
{
    static const struct bad_arguments cases[] = {
        {{"lens", "-m", LLAMA, "--ids", ""}, 2, "--ids", "expected numbers"},
        {{"lens", "-m", LLAMA, "--ids", "1,,2"}, 2, "--ids", "wrong at \",2\""},
        {{"lens", "-m", LLAMA, "--ids", "1,2,"}, 2, "--ids", "expected numbers"},
        {{"lens", "-m", LLAMA, "--ids", "1;2"}, 2, "--ids", "wrong at \"1;2\""},
        {{"lens", "-m", LLAMA, "--ids", "4294967297"}, 2, "--ids", "wrong at"},
        {{"lens", "-m", LLAMA, "--ids=-1"}, 2, "token 0 of the prompt", "id -1: expected 0 to 130"},
        {{"lens", "-m", LLAMA, "--ids", "1,131"}, 2, "token 1 of the prompt", "id 131: expected 0 to 130"},
        {{"trace", "-m", LLAMA, "--ids", "2147483647", "--hooks", "logits", "-o", "@t.npz"},
         2,
         "token 0",
         "expected 0 to 130"},
        {{"run", "-m", LLAMA, "--ids", "131"}, 2, "token 0", "expected 0 to 130"},
        {{"attn", "-m", LLAMA, "--ids", "131", "-o", "@a.png"}, 2, "token 0", "expected 0 to 130"},
        {{"report", "-m", LLAMA, "--ids", "131", "-o", "@r.html"}, 2, "token 0", "expected 0 to 130"},
        {{"lens", "-m", LLAMA, "some text"}, 3, "llama", "no tokenizer.json"},
        {{"lens", "-m", LLAMA, "--ids", "1,2", "--target-id", "131"}, 2, "131", "expected 0 to 130"},
        {{"lens", "-m", LLAMA, "--ids", "1,2", "-p", "2"}, 2, "--position 2", "positions 0 to 1"},
        {{"lens", "-m", LLAMA, "--ids", "1,2", "--positions", "1:3"}, 2, "--positions 1:3", "which is 0:2"},
        {{"attn", "-m", LLAMA, "--ids", "1,2", "--layers", "2"}, 2, "layer", "0 to 1"},
        {{"attn", "-m", LLAMA, "--ids", "1,2", "--layers", "one"}, 2, "layer list \"one\"", "expected numbers"},
        {{"attn", "-m", LLAMA, "--ids", "1,2", "--heads", "6"}, 2, "head", "0 to 5"},
        {{"attn", "-m", LLAMA, "--ids", "1,2", "--queries", "0:3"}, 2, "query", "0:2"},
        {{"trace", "-m", LLAMA, "--ids", "1,2", "--hooks", "nonesuch", "-o", "@t.npz"}, 2, "nonesuch", "hook"},
        {{"trace", "-m", LLAMA, "--ids", "1", "--hooks", "blocks.1.*", "--layers", "0", "-o", "@t.npz"},
         2,
         "blocks.1.*",
         "none of them is in the layers"},
        {{"trace", "-m", LLAMA, "--ids", "1,2", "-o", "@t.npz"}, 2, "--hooks", "is missing"},
        {{"trace", "-m", LLAMA, "--ids", "1,2", "--hooks", "logits"}, 2, "--output", "is missing"},
    };
    expect_refusals(cases, sizeof cases / sizeof *cases);
}

Test(bad_input, prompts__past_the_context_are_refused)
{
    char        ids[512]    = "1";
    const char *arguments[] = {"lens", "-m", LLAMA, "--ids", ids, "--json", NULL};
    for (int i = 1; i < 129; i++) strcat(ids, ",1");
    expect_refusal(arguments, 2, "129 tokens", "at most 128");
}

Test(bad_input, devices__that_are_not_there_are_refused)
{
    static const struct bad_arguments cases[] = {
        {{"lens", "-m", LLAMA, "--ids", "1", "-d", "nonesuch"}, 4, "nonesuch", "expected one of"},
        {{"lens", "-m", LLAMA, "--ids", "1", "-d", "cpu:7"}, 4, "cpu:7", "1 device"},
        {{"lens", "-m", LLAMA, "--ids", "1", "-d", "cpu:x"}, 4, "cpu:x", "expected"},
        {{"lens", "-m", LLAMA, "--ids", "1", "--kernels", "matmul"}, 2, "kernels \"matmul\"", "expected OP=KERNEL"},
        {{"lens", "-m", LLAMA, "--ids", "1", "-d", "cpu", "--kernels", "matmul=x"}, 2, "matmul=x", "expected one of"},
    };
    expect_refusals(cases, sizeof cases / sizeof *cases);
}

Test(bad_input, outputs__that_cannot_be_written_are_an_error)
{
    static const struct bad_arguments cases[] = {
        {{"trace", "-m", LLAMA, "--ids", "1", "--hooks", "logits", "-o", "/nonexistent/t.npz"},
         6,
         "/nonexistent/t.npz",
         "No such file"},
        {{"lens", "-m", LLAMA, "--ids", "1", "-o", "/nonexistent/l.npz"}, 6, "/nonexistent/l.npz", "No such file"},
        {{"attn", "-m", LLAMA, "--ids", "1", "-o", "/nonexistent/a.png"}, 6, "/nonexistent/a.png", "No such file"},
        {{"attn", "-m", LLAMA, "--ids", "1", "-o", "/nonexistent/a.svg"}, 6, "/nonexistent/a.svg", "No such file"},
        {{"attn", "-m", LLAMA, "--ids", "1", "-o", "/nonexistent/a.npz"}, 6, "/nonexistent/a.npz", "No such file"},
        {{"attn", "-m", LLAMA, "--ids", "1", "-o", "@a.bmp"}, 2, "a.bmp", "expected a name that ends in one of"},
        {{"attn", "-m", LLAMA, "--ids", "1", "-o", "@npz"}, 2, "npz", "expected a name that ends in one of"},
        {{"lens", "-m", LLAMA, "--ids", "1", "-o", "@l.bmp"}, 2, "l.bmp", "expected a name that ends in one of"},
        {{"diff", "-m", LLAMA, "--ids", "1", "-o", "@d.npz"}, 2, "d.npz", "expected a name that ends in one of"},
        {{"diff", "-m", LLAMA, "--ids", "1", "-o", "/nonexistent/d.svg"}, 6, "/nonexistent/d.svg", "No such file"},
        {{"diff", "-m", LLAMA, "--ids", "1", "-o", "/nonexistent/d.html"}, 6, "/nonexistent/d.html", "No such file"},
        {{"trace", "-m", LLAMA, "--ids", "1", "--hooks", "logits", "-o", "@t.np"}, 2, "t.np", "ends in .npz"},
        {{"report", "-m", LLAMA, "--ids", "1", "-o", "@r.pdf"}, 2, "r.pdf", "ends in one of .html"},
        {{"report", "-m", LLAMA, "--ids", "1", "-o", "/nonexistent/r.html"}, 6, "/nonexistent/r.html", "No such file"},
    };
    expect_refusals(cases, sizeof cases / sizeof *cases);
}

Test(bad_input, standard_output__that_is_full_is_an_error)
{
    static const char *const commands[] = {
        "lens --ids 1",     "lens --ids 1 --json", "attn --ids 1",
        "run --ids 1 -n 2", "run --ids 1 -n 2 -q", "run --ids 1 -n 2 --json",
        "devices",          "devices --json",      "--help",
        "lens --help",      "--version",
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char        line[512];
        const char *model = strstr(commands[i], "--ids") ? "-m " LLAMA : "";
        snprintf(line, sizeof line, "'%s' %s %s >/dev/full 2>/dev/null", program_path(), commands[i], model);
        int status = system(line);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 6, "%s: status %d", line, status);
    }
}

/* --- Files --- */

enum change { CUT, REMOVE, WRITE, SWAP, HEADER };

/* One change to a copy of a fixture: `file` is cut to `size` bytes, removed, replaced by `text`, has the first `from`
 * in it swapped for `text`, or (a safetensors file) becomes the header `text` and `size` bytes of data. */
struct bad_file {
    const char *fixture, *file;
    enum change change;
    const char *from, *text;
    size_t      size;
    const char *says;
};

static void write_file(const char *path, const char *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(data, 1, size, file) == size && !fclose(file), "%s", path);
}

static void swap(const char *path, const char *from, const char *to)
{
    size_t size, at = 0;
    char  *data    = read_file(path, &size);
    char  *changed = malloc(size + strlen(to));
    while (at + strlen(from) <= size && memcmp(data + at, from, strlen(from))) at++;
    cr_assert(changed && at + strlen(from) <= size, "%s holds no %s", path, from);
    size_t behind = size - at - strlen(from);
    memcpy(changed, data, at);
    memcpy(changed + at, to, strlen(to));
    memcpy(changed + at + strlen(to), data + at + strlen(from), behind);
    write_file(path, changed, at + strlen(to) + behind);
    free(changed);
    free(data);
}

static void write_header(const char *path, const char *header, size_t data)
{
    size_t length = strlen(header);
    char  *bytes  = calloc(1, 8 + length + data);
    for (int i = 0; i < 8; i++) bytes[i] = (char)(uint8_t)(length >> 8 * i);
    memcpy(bytes + 8, header, length);
    write_file(path, bytes, 8 + length + data);
    free(bytes);
}

static void make_bad(const struct bad_file *bad)
{
    char command[512], path[256];
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '" SCRY_SOURCE_DIR "/tests/fixtures/models/%s' '%s'",
             in_folder("model"), bad->fixture, in_folder("model"));
    cr_assert_eq(system(command), 0);
    snprintf(path, sizeof path, "%s/%s", in_folder("model"), bad->file);
    switch (bad->change) {
    case CUT:
        cr_assert_eq(truncate(path, (off_t)bad->size), 0);
        break;
    case REMOVE:
        cr_assert_eq(unlink(path), 0);
        break;
    case WRITE:
        write_file(path, bad->text, strlen(bad->text));
        break;
    case SWAP:
        swap(path, bad->from, bad->text);
        break;
    case HEADER:
        write_header(path, bad->text, bad->size);
        break;
    }
}

static void expect_bad_files(const struct bad_file *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        make_bad(&cases[i]);
        const char *arguments[] = {"trace",  "-m", in_folder("model"), "--ids",  "1,2", "--hooks",
                                   "logits", "-o", in_folder("t.npz"), "--json", NULL};
        expect_refusal(arguments, 3, cases[i].file, cases[i].says);
    }
}

#define WEIGHTS "model.safetensors"
#define TENSOR(name, dtype, shape, offsets)                                                                            \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

Test(bad_input, weights__are_refused_with_file_and_tensor)
{
    static const struct bad_file cases[] = {
        {"llama", WEIGHTS, WRITE, NULL, "", 0, "expected at least the 8"},
        {"llama", WEIGHTS, CUT, NULL, NULL, 7, "expected at least the 8"},
        {"llama", WEIGHTS, CUT, NULL, NULL, 100, "header length 2104, but only 92 bytes follow"},
        {"llama", WEIGHTS, CUT, NULL, NULL, 132431, "data_offsets"},
        {"llama", WEIGHTS, WRITE, NULL, "\377\377\377\377\377\377\377\377{}", 0, "header length 18446744073709551615"},
        {"llama", WEIGHTS, HEADER, NULL, "[]", 0, "expected a JSON header that starts with '{'"},
        {"llama", WEIGHTS, HEADER, NULL, "{\"a\":", 0, "line 1"},
        {"llama", WEIGHTS, HEADER, NULL, "{}", 4, "tensors end at data byte 0: expected 4"},
        {"llama", WEIGHTS, HEADER, NULL, "{\"a\":[]}", 0, "tensor a: expected an object"},
        {"llama", WEIGHTS, HEADER, NULL, "{" TENSOR("a", "F31", "[1]", "[0,4]") "}", 4, "unknown dtype \"F31\""},
        {"llama", WEIGHTS, HEADER, NULL, "{" TENSOR("a", "F32", "[-1]", "[0,4]") "}", 4,
         "expected a size of 0 or more"},
        {"llama", WEIGHTS, HEADER, NULL, "{" TENSOR("a", "F32", "\"x\"", "[0,4]") "}", 4, "expected an array"},
        {"llama", WEIGHTS, HEADER, NULL, "{" TENSOR("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4,
         "overflows"},
        {"llama", WEIGHTS, HEADER, NULL, "{" TENSOR("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "rank 9"},
        {"llama", WEIGHTS, HEADER, NULL, "{" TENSOR("a", "F32", "[2]", "[0,4]") "}", 4, "expected 8 for F32 [2]"},
        {"llama", WEIGHTS, HEADER, NULL, "{" TENSOR("a", "F32", "[1]", "[4,8]") "}", 4, "inside the 4 bytes"},
        {"llama", WEIGHTS, HEADER, NULL, "{" TENSOR("a", "F32", "[1]", "[4,0]") "}", 8, "data_offsets [4, 0]"},
        {"llama", WEIGHTS, HEADER, NULL, "{" TENSOR("a", "F32", "[1]", "[-4,0]") "}", 8, "data_offsets [-4, 0]"},
        {"llama", WEIGHTS, HEADER, NULL, "{" TENSOR("a", "F32", "[1]", "[0]") "}", 8, "expected two integers"},
        {"llama", WEIGHTS, HEADER, NULL,
         "{" TENSOR("a", "F32", "[2]", "[0,8]") "," TENSOR("b", "F32", "[1]", "[4,8]") "}", 8, "overlap"},
        {"llama", WEIGHTS, HEADER, NULL, "{" TENSOR("a", "F32", "[1]", "[4,8]") "}", 8, "gap"},
        {"llama", WEIGHTS, HEADER, NULL,
         "{" TENSOR("a", "U8", "[1]", "[0,1]") "," TENSOR("a", "U8", "[1]", "[0,1]") "}", 1, "duplicate"},
        {"llama", WEIGHTS, SWAP, "[131,36]", "[36,131]", 0, "lm_head.weight"},
        {"llama", WEIGHTS, SWAP, "\"F32\"", "\"I32\"", 0, "I32"},
        {"llama_sharded", "model-00002-of-00004.safetensors", REMOVE, NULL, NULL, 0, "No such file"},
        {"llama_sharded", "model-00002-of-00004.safetensors", CUT, NULL, NULL, 64, "bytes follow"},
        {"llama_sharded", "model.safetensors.index.json", WRITE, NULL, "{", 0, "line 1"},
        {"llama_sharded", "model.safetensors.index.json", WRITE, NULL, "{}", 0, "weight_map"},
        {"llama_sharded", "model.safetensors.index.json", SWAP, "\"lm_head.weight\"", "\"lm_tail.weight\"", 0, "lm_"},
        {"llama_sharded", "model.safetensors.index.json", SWAP, "\"model-00004", "\"../model-00004", 0,
         "plain file name"},
    };
    expect_bad_files(cases, sizeof cases / sizeof *cases);
}

Test(bad_input, configs__are_refused_with_file_and_key)
{
    static const struct bad_file cases[] = {
        {"llama", "config.json", REMOVE, NULL, NULL, 0, "No such file"},
        {"llama", "config.json", WRITE, NULL, "", 0, "line"},
        {"llama", "config.json", WRITE, NULL, "{\"model_type\": \"llama\"", 0, "line 1"},
        {"llama", "config.json", WRITE, NULL, "[1]", 0, "expected an object"},
        {"llama", "config.json", WRITE, NULL, "\xff", 0, "line 1"},
        {"llama", "config.json", SWAP, "\"model_type\": \"llama\"", "\"model_type\": \"bert\"", 0, "bert"},
        {"llama", "config.json", SWAP, "\"model_type\": \"llama\"", "\"model_type\": 7", 0, "expected a string"},
        {"llama", "config.json", SWAP, "\"silu\"", "\"quick_gelu\"", 0, "quick_gelu"},
        {"llama", "config.json", SWAP, "\"default\"", "\"spiral\"", 0, "spiral"},
        {"llama", "config.json", SWAP, "\"hidden_size\": 36", "\"hidden_size\": 0", 0, "hidden_size"},
        {"llama", "config.json", SWAP, "\"hidden_size\": 36", "\"hidden_size\": 9223372036854775807", 0, "hidden_size"},
        {"llama", "config.json", SWAP, "\"hidden_size\": 36", "\"hidden_size\": \"36\"", 0, "expected an integer"},
        {"llama", "config.json", SWAP, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 100000", 0,
         "num_hidden_layers"},
        {"llama", "config.json", SWAP, "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4", 0, "head"},
        {"llama", "config.json", SWAP, "\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": -1.0", 0, "rms_norm_eps"},
        {"llama", "config.json", SWAP, "500.0", "0.0", 0, "rope_theta"},
    };
    expect_bad_files(cases, sizeof cases / sizeof *cases);
}

Test(bad_input, configs__and_weights_that_do_not_fit_are_refused)
{
    static const struct bad_file cases[] = {
        {"llama", WEIGHTS, HEADER, NULL, "{}", 0, "no tensor"},
        {"llama", WEIGHTS, SWAP, "model.norm.weight", "model.gone.weight", 0, "no tensor model.norm.weight"},
        {"llama", "config.json", SWAP, "\"vocab_size\": 131", "\"vocab_size\": 132", 0, "[131, 36]"},
        {"llama", "config.json", SWAP, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", 0, "model.layers.2."},
        {"llama", "config.json", SWAP, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", 0, "model.layers.1."},
        {"llama", "config.json", SWAP, "\"intermediate_size\": 53", "\"intermediate_size\": 54", 0, "mlp."},
        {"llama", "config.json", SWAP, "\"head_dim\": 10", "\"head_dim\": 12", 0, "self_attn."},
        {"llama", "config.json", SWAP, "\"tie_word_embeddings\": false", "\"attention_bias\": true", 0, "duplicate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_bad(&cases[i]);
        const char *arguments[] = {"lens", "-m", in_folder("model"), "--ids", "1,2", "--json", NULL};
        expect_refusal(arguments, 3, in_folder("model"), cases[i].says);
    }
}

/* --- Tokenizers --- */

#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"z\":130,\"y\":131},\"merges\":[]}"

Test(bad_input, tokenizers__are_refused_with_file_and_key)
{
    static const struct {
        const char *json, *text;
        int         exit_code;
        const char *names, *says;
    } cases[] = {
        {"{", "a", 3, "tokenizer.json", "line 1"},
        {"{}", "a", 3, "tokenizer.json", "\"model\""},
        {"{\"model\":{\"type\":\"Unigram\"}}", "a", 3, "tokenizer.json", "\"Unigram\": expected BPE"},
        {"{\"normalizer\":{\"type\":\"Nmt\"}," MODEL "}", "a", 3, "tokenizer.json",
         "normalizer: key \"type\": \"Nmt\""},
        {"{" MODEL "}", "a\xff", 2, "byte 1", "not valid UTF-8"},
        {"{" MODEL "}", "\xed\xa0\x80", 2, "byte 0", "not valid UTF-8"},
        {"{" MODEL "}", "", 2, "prompt", "empty"},
        {"{" MODEL "}", "cde", 2, "prompt", "empty"},
        {"{" MODEL "}", "ay", 2, "token 1 of the prompt", "expected 0 to 130"},
    };
    static const struct bad_file unchanged = {"llama", "generation_config.json", REMOVE, NULL, NULL, 0, NULL};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[256];
        make_bad(&unchanged);
        snprintf(path, sizeof path, "%s/tokenizer.json", in_folder("model"));
        write_file(path, cases[i].json, strlen(cases[i].json));
        const char *arguments[] = {"run", "-m", in_folder("model"), cases[i].text, "--json", NULL};
        expect_refusal(arguments, cases[i].exit_code, cases[i].names, cases[i].says);
    }
}
