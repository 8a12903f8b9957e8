/* Ends of paths from text. See path.h. */
#include "analysis/path.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

/* Where in a list of ends parsing is. */
struct parser {
    const scry_model_info *info;
    const char            *list, *at; /* the whole text, and what is left of it */
    bool                   receivers;
};

const char *scry_path_end_text(scry_path_end_kind kind)
{
    static const char *const texts[] = {
#define END_TEXT(name, text) text,
        SCRY_PATH_END_LIST(END_TEXT)
#undef END_TEXT
    };
    return (unsigned)kind < SCRY_PATH_END_COUNT ? texts[kind] : "unknown";
}

void scry__path_add_end(scry__text *out, const scry_path_end *end)
{
    const char *text = scry_path_end_text(end->kind);
    switch (end->kind) {
    case SCRY_PATH_END_HEAD:
        scry__text_addf(out, "%d.%d", end->layer, end->head);
        break;
    case SCRY_PATH_END_MLP:
        scry__text_addf(out, "%s%d", text, end->layer);
        break;
    case SCRY_PATH_END_EMBED:
    case SCRY_PATH_END_LOGITS:
        scry__text_adds(out, text);
        break;
    default:
        scry__text_addf(out, "%d.%d.%s", end->layer, end->head, text);
    }
}

/* --- one end --- */

static scry_status expected(const struct parser *parser)
{
    return scry__fail(SCRY_BAD_ARGUMENT, "%s \"%s\": at \"%s\": expected %s",
                      parser->receivers ? "receivers" : "senders", parser->list, parser->at,
                      parser->receivers ? "LAYER.HEAD.q, LAYER.HEAD.k, LAYER.HEAD.v, mlpLAYER or logits"
                                        : "LAYER.HEAD, mlpLAYER, embed, heads or mlps");
}

/* Is this the next word? It ends at a comma, a plus or the text's end. */
static bool take_word(struct parser *parser, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(parser->at, word, length) || (parser->at[length] && !strchr(",+", parser->at[length]))) return false;
    parser->at += length;
    return true;
}

static scry_status take_number(struct parser *parser, int *number, int count, const char *what)
{
    int digits = 0, value = 0;
    for (; digits < 6 && *parser->at >= '0' && *parser->at <= '9'; digits++) value = 10 * value + (*parser->at++ - '0');
    *number = value;
    if (!digits) return expected(parser);
    if (value < count) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%s \"%s\": %s %d: expected 0 to %d",
                      parser->receivers ? "receivers" : "senders", parser->list, what, value, count - 1);
}

/* ".q", ".k" or ".v" of a receiver. */
static scry_status take_input(struct parser *parser, scry_path_end *end)
{
    for (int kind = SCRY_PATH_END_QUERY; kind <= SCRY_PATH_END_VALUE; kind++) {
        end->kind = (scry_path_end_kind)kind;
        if (*parser->at == '.' && parser->at[1] == *scry_path_end_text(end->kind)) {
            parser->at += 2;
            return SCRY_OK;
        }
    }
    return expected(parser);
}

static scry_status take_head(struct parser *parser, scry_path_end *end)
{
    scry_status status = take_number(parser, &end->layer, parser->info->layer_count, "layer");
    if (status) return status;
    if (*parser->at != '.') return expected(parser);
    const char *head = ++parser->at;
    status           = take_number(parser, &end->head, parser->info->head_count, "head");
    if (!parser->receivers || status) return status;
    status = take_input(parser, end);
    if (status || end->kind == SCRY_PATH_END_QUERY) return status;
    struct parser again = *parser; /* keys and values have heads of their own */
    again.at            = head;
    return take_number(&again, &end->head, parser->info->kv_head_count, "key/value head");
}

static scry_status take_end(struct parser *parser, scry_path_end *end)
{
    scry_path_end_kind lone   = parser->receivers ? SCRY_PATH_END_LOGITS : SCRY_PATH_END_EMBED;
    size_t             prefix = strlen(scry_path_end_text(SCRY_PATH_END_MLP));
    scry_status        status = SCRY_OK;
    *end                      = (scry_path_end){lone, -1, -1};
    if (take_word(parser, scry_path_end_text(lone))) return SCRY_OK;
    if (!strncmp(parser->at, scry_path_end_text(SCRY_PATH_END_MLP), prefix)) {
        end->kind = SCRY_PATH_END_MLP;
        parser->at += prefix;
        status = take_number(parser, &end->layer, parser->info->layer_count, "layer");
    } else {
        end->kind = SCRY_PATH_END_HEAD;
        status    = take_head(parser, end);
    }
    if (status) return status;
    return *parser->at && !strchr(parser->receivers ? "," : ",+", *parser->at) ? expected(parser) : SCRY_OK;
}

/* --- lists --- */

static scry_status append(scry_path_end **ends, int *count, const scry_path_end *end)
{
    scry_path_end *grown = scry__realloc(*ends, (size_t)*count + 1, sizeof *grown);
    if (!grown) return SCRY_OUT_OF_MEMORY;
    grown[(*count)++] = *end;
    *ends             = grown;
    return SCRY_OK;
}

static bool has_end(const scry_path_end *ends, int count, const scry_path_end *end)
{
    for (int i = 0; i < count; i++)
        if (ends[i].kind == end->kind && ends[i].layer == end->layer && ends[i].head == end->head) return true;
    return false;
}

/* A path without senders yet. */
static scry_path *new_path(scry_paths *paths)
{
    scry_path *grown = scry__realloc(paths->paths, (size_t)paths->count + 1, sizeof *grown);
    if (!grown) return NULL;
    paths->paths        = grown;
    grown[paths->count] = (scry_path){0};
    return &grown[paths->count++];
}

static scry_status add_path(scry_paths *paths, const scry_path_end *end)
{
    scry_path *path = new_path(paths);
    return path ? append(&path->senders, &path->sender_count, end) : SCRY_OUT_OF_MEMORY;
}

static scry_status add_all(scry_paths *paths, const scry_model_info *info, scry_path_end_kind kind)
{
    scry_status status = SCRY_OK;
    int         heads  = kind == SCRY_PATH_END_HEAD ? info->head_count : 1;
    for (int i = 0; !status && i < info->layer_count * heads; i++)
        status = add_path(paths, &(scry_path_end){kind, i / heads, kind == SCRY_PATH_END_HEAD ? i % heads : -1});
    return status;
}

/* Senders that are patched together. */
static scry_status take_senders(struct parser *parser, scry_paths *paths)
{
    scry_path_end end;
    scry_path    *path = new_path(paths);
    if (!path) return SCRY_OUT_OF_MEMORY;
    for (;; parser->at++) {
        scry_status status = take_end(parser, &end);
        if (!status) status = append(&path->senders, &path->sender_count, &end);
        if (status || *parser->at != '+') return status;
    }
}

scry_status scry__path_parse_senders(scry_paths *paths, const scry_model_info *info, const char *text)
{
    struct parser parser = {.info = info, .list = text, .at = text};
    for (;; parser.at++) {
        scry_status status;
        if (take_word(&parser, "heads"))
            status = add_all(paths, info, SCRY_PATH_END_HEAD);
        else if (take_word(&parser, "mlps"))
            status = add_all(paths, info, SCRY_PATH_END_MLP);
        else
            status = take_senders(&parser, paths);
        if (!status && *parser.at && *parser.at != ',') status = expected(&parser);
        if (status || !*parser.at) return status;
    }
}

scry_status scry__path_parse_receivers(scry_paths *paths, const scry_model_info *info, const char *text)
{
    struct parser parser = {.info = info, .list = text, .at = text, .receivers = true};
    scry_path_end end;
    for (;; parser.at++) {
        scry_status status = take_end(&parser, &end);
        if (!status && !has_end(paths->receivers, paths->receiver_count, &end))
            status = append(&paths->receivers, &paths->receiver_count, &end);
        if (status || !*parser.at) return status;
    }
}
