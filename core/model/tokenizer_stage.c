/* Lists of pieces, and the stages of encoding. See tokenizer_stage.h. */
#include "model/tokenizer_stage.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

/* --- Pieces --- */

void scry__pieces_add(scry__pieces *pieces, scry__piece piece)
{
    if (pieces->status) return;
    if (pieces->count == pieces->capacity) {
        size_t       capacity = pieces->capacity ? 2 * pieces->capacity : 16;
        scry__piece *items    = scry__realloc(pieces->items, capacity, sizeof *items);
        if (!items) {
            pieces->status = SCRY_OUT_OF_MEMORY;
            return;
        }
        pieces->items    = items;
        pieces->capacity = capacity;
    }
    pieces->items[pieces->count++] = piece;
}

void scry__pieces_finish(scry__pieces *pieces)
{
    scry__text_finish(&pieces->text);
    scry__free(pieces->items);
    *pieces = (scry__pieces){0};
}

scry_status scry__pieces_status(const scry__pieces *pieces)
{
    if (pieces->text.size > SCRY__PIECES_LIMIT)
        return scry__fail(SCRY_BAD_INPUT, "the tokenizer makes more than %d bytes of its text", SCRY__PIECES_LIMIT);
    return pieces->text.status ? pieces->text.status : pieces->status;
}

void scry__pieces_add_written(scry__pieces *pieces, size_t begin, scry__piece model)
{
    scry__text_add(&pieces->text, "", 0); /* so that an empty piece points somewhere */
    model.begin = begin;
    model.size  = pieces->text.size - begin;
    scry__pieces_add(pieces, model);
}

void scry__pieces_copy(scry__pieces *out, const scry__pieces *in, const scry__piece *piece)
{
    size_t begin = out->text.size;
    scry__text_add(&out->text, in->text.data + piece->begin, piece->size);
    scry__pieces_add_written(out, begin, *piece);
}

/* --- Stages that change text --- */

scry_status scry__stage_replace(const scry__stage *stage, const scry__pieces *in, scry__pieces *out)
{
    scry__matches matches = {0};
    scry_status   status  = scry__matches_open(&matches, stage->regex);
    for (size_t i = 0; i < in->count && !status; i++) {
        const scry__piece *piece = &in->items[i];
        const char        *text  = in->text.data + piece->begin;
        size_t             begin = out->text.size, done = 0, from, to;
        bool               found;
        if (piece->id >= 0) {
            scry__pieces_copy(out, in, piece);
            continue;
        }
        scry__matches_begin(&matches, text, piece->size);
        while (!(status = scry__matches_next(&matches, &found, &from, &to)) && found) {
            scry__text_add(&out->text, text + done, from - done);
            scry__text_add(&out->text, stage->content, stage->content_size);
            done = to;
            if ((status = scry__pieces_status(out))) break;
        }
        scry__text_add(&out->text, text + done, piece->size - done);
        scry__pieces_add_written(out, begin, *piece);
        if (!status) status = scry__pieces_status(out);
    }
    scry__matches_close(&matches);
    return status;
}

static bool wants_prefix(const scry__stage *stage, const scry__piece *piece, const char *text)
{
    bool there = piece->size >= stage->content_size && !memcmp(text, stage->content, stage->content_size);
    switch (stage->when) {
    case SCRY__ALWAYS:
        return piece->size > 0;
    case SCRY__UNLESS_THERE:
        return !there;
    case SCRY__FIRST_UNLESS_THERE:
        return !there && piece->first;
    case SCRY__NEVER:
        break;
    }
    return false;
}

static void byte_level(const char *text, size_t size, scry__text *out)
{
    for (size_t i = 0; i < size; i++) {
        char bytes[4];
        scry__text_add(out, bytes, (size_t)scry__utf8_encode(scry__byte_stand_in((uint8_t)text[i]), bytes));
    }
}

static scry_status change_text(const scry__stage *stage, const scry__pieces *in, scry__pieces *out)
{
    scry_status status = SCRY_OK;
    for (size_t i = 0; i < in->count && !status; i++) {
        const scry__piece *piece = &in->items[i];
        const char        *text  = in->text.data + piece->begin;
        size_t             begin = out->text.size;
        if (piece->id >= 0) {
            scry__pieces_copy(out, in, piece);
            continue;
        }
        if (stage->kind == SCRY__STAGE_BYTES) {
            byte_level(text, piece->size, &out->text);
        } else if (stage->kind == SCRY__STAGE_LOWERCASE) {
            status = scry__unicode_lowercase(&out->text, text, piece->size);
        } else if (stage->kind == SCRY__STAGE_PREPEND) {
            if (wants_prefix(stage, piece, text)) scry__text_add(&out->text, stage->content, stage->content_size);
            scry__text_add(&out->text, text, piece->size);
        } else {
            status = scry__unicode_normalize(&out->text, text, piece->size, stage->kind);
        }
        scry__pieces_add_written(out, begin, *piece);
        if (!status) status = scry__pieces_status(out);
    }
    return status;
}

/* --- Splitting --- */

/* Cuts one piece into stretches that match and stretches that do not, and joins neighbours as the behaviour wants. */
typedef struct splitter {
    const scry__stage *stage;
    const scry__piece *whole;
    scry__pieces      *out;
    size_t             begin, end; /* the piece being built, relative to the whole */
    bool               open, last_matched;
} splitter;

static void emit(splitter *s)
{
    scry__piece piece = *s->whole;
    if (!s->open || s->begin == s->end) return;
    piece.begin += s->begin;
    piece.size  = s->end - s->begin;
    piece.first = s->whole->first && s->begin == 0;
    scry__pieces_add(s->out, piece);
}

static void stretch(splitter *s, size_t begin, size_t end, bool matched)
{
    bool before = s->last_matched, join = false;
    matched         = matched != s->stage->invert;
    s->last_matched = matched;
    switch (s->stage->behaviour) {
    case SCRY__ISOLATED:
    case SCRY__REMOVED:
        break;
    case SCRY__MERGED_WITH_PREVIOUS:
        join = s->open && matched && !before;
        break;
    case SCRY__MERGED_WITH_NEXT:
        join = s->open && before && !matched;
        break;
    case SCRY__CONTIGUOUS:
        join = s->open && matched == before;
        break;
    }
    if (!join) {
        emit(s);
        s->begin = begin;
    }
    s->end  = end;
    s->open = s->stage->behaviour != SCRY__REMOVED || !matched;
}

/* Only the list of pieces changes: out takes over in's text. */
static scry_status split(const scry__stage *stage, scry__pieces *in, scry__pieces *out)
{
    scry__matches matches = {0};
    scry_status   status  = scry__matches_open(&matches, stage->regex);
    if (status) return status;
    out->text = in->text;
    in->text  = (scry__text){0};
    for (size_t i = 0; i < in->count && !status; i++) {
        const scry__piece *piece = &in->items[i];
        splitter           s     = {.stage = stage, .whole = piece, .out = out};
        size_t             done  = 0, begin, end;
        bool               found;
        if (piece->id >= 0) {
            scry__pieces_add(out, *piece);
            continue;
        }
        scry__matches_begin(&matches, out->text.data + piece->begin, piece->size);
        while (!(status = scry__matches_next(&matches, &found, &begin, &end)) && found) {
            if (done < begin) stretch(&s, done, begin, false);
            stretch(&s, begin, end, true);
            done = end;
        }
        if (done < piece->size) stretch(&s, done, piece->size, false);
        emit(&s);
    }
    scry__matches_close(&matches);
    return status ? status : out->status;
}

scry_status scry__stages_run(const scry__stages *stages, scry__pieces *pieces)
{
    scry_status status = SCRY_OK;
    for (int i = 0; i < stages->count && !status; i++) {
        const scry__stage *stage = &stages->items[i];
        scry__pieces       out   = {0};
        if (stage->kind == SCRY__STAGE_SPLIT)
            status = split(stage, pieces, &out);
        else if (stage->kind == SCRY__STAGE_REPLACE)
            status = scry__stage_replace(stage, pieces, &out);
        else
            status = change_text(stage, pieces, &out);
        if (!status) status = scry__pieces_status(&out);
        scry__pieces_finish(pieces);
        *pieces = out;
    }
    return status;
}
