/* Which row of the table stands for a class of shapes: what `scry tune` measures. See cases.h. */
#include "cases/cases.h"

#include <string.h>

static const struct {
    scry_op_kind kind;
    const char *class, *row;
} rows[] = {
    {SCRY_OP_MATMUL, "tiny", "matmul/16x256x256"},
    {SCRY_OP_MATMUL, "deep", "matmul/64x64x4096"},
    {SCRY_OP_MATMUL, "thin", "matmul/1024x64x768"},
    {SCRY_OP_MATMUL, "few-kn-f32", "matmul/gpt2-mlp-one-row"},
    {SCRY_OP_MATMUL, "few-kn-half", "matmul/gpt2-mlp-one-row-bf16"},
    {SCRY_OP_MATMUL, "few-nk-f32", "matmul/llama-mlp-one-row"},
    {SCRY_OP_MATMUL, "few-nk-half", "matmul/llama-mlp-bf16-one-row"},
    {SCRY_OP_MATMUL, "short-kn-f32", "matmul/gpt2-mlp-short"},
    {SCRY_OP_MATMUL, "short-kn-half", "matmul/gpt2-mlp-short-bf16"},
    {SCRY_OP_MATMUL, "short-nk-f32", "matmul/llama-mlp-short"},
    {SCRY_OP_MATMUL, "short-nk-half", "matmul/llama-mlp-short-bf16"},
    {SCRY_OP_MATMUL, "long-kn-f32", "matmul/1024x1024x1024"},
    {SCRY_OP_MATMUL, "long-kn-half", "matmul/1024x1024x1024-bf16"},
    {SCRY_OP_MATMUL, "long-nk-f32", "matmul/1024x1024x1024-turned"},
    {SCRY_OP_MATMUL, "long-nk-half", "matmul/1024x1024x1024-turned-bf16"},
    {SCRY_OP_SOFTMAX_CAPTURE, "short", "softmax/gpt2-short"},
    {SCRY_OP_SOFTMAX_CAPTURE, "long", "softmax/gpt2"},
    {SCRY_OP_ATTENTION, "few-narrow", "attention/gpt2-one-row"},
    {SCRY_OP_ATTENTION, "few-narrow-captured", "attention/gpt2-one-row-statistics"},
    {SCRY_OP_ATTENTION, "few-wide", "attention/llama-one-row"},
    {SCRY_OP_ATTENTION, "few-wide-captured", "attention/llama-one-row-statistics"},
    {SCRY_OP_ATTENTION, "short-narrow", "attention/gpt2-short-bare"},
    {SCRY_OP_ATTENTION, "short-narrow-captured", "attention/gpt2-short"},
    {SCRY_OP_ATTENTION, "short-wide", "attention/llama-short"},
    {SCRY_OP_ATTENTION, "short-wide-captured", "attention/llama-short-statistics"},
    {SCRY_OP_ATTENTION, "long-narrow", "attention/gpt2"},
    {SCRY_OP_ATTENTION, "long-narrow-captured", "attention/gpt2-statistics"},
    {SCRY_OP_ATTENTION, "long-wide", "attention/llama-gqa"},
    {SCRY_OP_ATTENTION, "long-wide-captured", "attention/llama-statistics"},
    {SCRY_OP_ROPE, "small", "rope/half-split"},
    {SCRY_OP_ROPE, "large", "rope/1024x12x64"},
    {SCRY_OP_NORM, "narrow", "norm/1024x12x64"},
    {SCRY_OP_NORM, "wide", "norm/gpt2"},
    {SCRY_OP_LENS, "few-small", "lens/2000-ids-one-row"},
    {SCRY_OP_LENS, "few-large", "lens/gpt2-one-row"},
    {SCRY_OP_LENS, "many-small", "lens/2000-ids"},
    {SCRY_OP_LENS, "many-large", "lens/gpt2"},
    {SCRY_OP_EMBED, "small", "embed/32x1024"},
    {SCRY_OP_EMBED, "large", "embed/gpt2"},
    {SCRY_OP_ADD, "small", "add/lattice"},
    {SCRY_OP_ADD, "large", "add/1024x768"},
    {SCRY_OP_ADD, "scattered", "add/1024x768-turned"},
    {SCRY_OP_SCALE, "small", "scale/lattice"},
    {SCRY_OP_SCALE, "large", "scale/1024x3072"},
    {SCRY_OP_SCALE, "scattered", "scale/1024x768-turned"},
    {SCRY_OP_ACTIVATION, "small", "activation/gated-silu"},
    {SCRY_OP_ACTIVATION, "large", "activation/gpt2"},
    {SCRY_OP_ACTIVATION, "scattered", "activation/1024x768-spaced"},
    {SCRY_OP_COPY, "small", "copy/f32"},
    {SCRY_OP_COPY, "large", "copy/1024x3072"},
    {SCRY_OP_COPY, "scattered", "copy/1024x768-turned"},
    {SCRY_OP_FILL, "small", "fill/f32"},
    {SCRY_OP_FILL, "large", "fill/1024x3072"},
    {SCRY_OP_FILL, "scattered", "fill/1024x768-spaced"},
};

int scry__case_of_class(scry_op_kind kind, const char *class)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].kind == kind && !strcmp(rows[i].class, class)) return scry__case_find(rows[i].row);
    return -1;
}
