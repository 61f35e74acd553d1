/*
 * encoder_match: an encoder meets a table that it was not fitted on, so that a net can be
 * trained on. Columns are matched by name; what the encoder does not know is left alone. A
 * small table may be typed otherwise than the one the encoder learnt from (texts that all
 * happen to be numbers, a column without values): it is read in the encoder's terms.
 */
#ifndef TABLE_ENCODER_MATCH_H
#define TABLE_ENCODER_MATCH_H

#include "base/err.h"
#include "table/encoder.h"
#include "table/table.h"
#include "table/warnings.h"

/*
 * Can its rows be encoded? Looks at the schema, and at the target's values, which must be
 * there. ERR_INVALID at "/dataset": missing_column, text_column (texts where numbers were
 * learnt); at "/target": unknown_target, missing_target (no row has it), text_target,
 * unknown_class (names the class, and the ones that are known).
 */
int encoder_match_check(const struct encoder *encoder, const struct table *table,
                        struct err *err);

/*
 * Rewrites the columns of a table with values, so that encoder_transform reads them and
 * encoder_transform_target gives the encoder's classes. Errors as encoder_match_check;
 * ERR_NO_MEMORY leaves a table that can only be cleared. Warnings: unseen_category.
 */
int encoder_match_apply(const struct encoder *encoder, struct table *table,
                        struct warnings *warnings, struct err *err);

#endif
