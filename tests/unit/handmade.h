/* Transformers made by hand, which theory gives exactly. */
#ifndef TESTS_UNIT_HANDMADE_H
#define TESTS_UNIT_HANDMADE_H

/* The induction transformer: two layers of two heads, a residual stream of four blocks of one-hot vectors (token,
 * position, previous token, prediction). Head 0.0 looks at the token before, with e^beta times the weight of any other
 * key, and writes what it finds into the block of previous tokens; head 1.0 looks where that block holds its own token,
 * alike, and writes the token that it finds there into the prediction, whose logit is gamma. Heads 0.1 and 1.1 do
 * nothing: their attention is uniform. Its layer norms undo themselves. Token 0 begins texts; there is no tokenizer. */
enum { HANDMADE_VOCABULARY = 64, HANDMADE_CONTEXT = 96, HANDMADE_PATH = 64 };

/* Writes it as a gpt2 checkpoint into a new folder; fails the test where that does not work. */
void handmade_induction(char path[HANDMADE_PATH], double beta, double gamma);

/* The turned transformer: whatever stands before, token v is followed by v + 1, the last by the first. Of its two
 * blocks the first does nothing; up to the second the stream has tokens as one orthonormal set of vectors, and the
 * second turns a token into the one that follows in another set, which alone the unembedding reads: logit TURNED_LOGIT
 * there, 0 elsewhere. */
enum { TURNED_VOCABULARY = 24, TURNED_CONTEXT = 32, TURNED_LOGIT = 8 };
void handmade_turned(char path[HANDMADE_PATH]);

void handmade_remove(const char *path);

#endif
