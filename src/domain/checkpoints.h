/*
 * checkpoints: keeping what a job's training can go on from. A large one is written in several
 * transactions, so that others can write between them. Thread-safe; may block.
 */
#ifndef DOMAIN_CHECKPOINTS_H
#define DOMAIN_CHECKPOINTS_H

#include "store/checkpoint_store.h"

/* Stores it as the job's, in place of the one before. On failure that one is still there. */
int checkpoints_save(struct db *db, const char *job_id,
                     const struct checkpoint *checkpoint, struct err *err);

/* 1: *checkpoint is filled, its bytes owned by the caller (free); 0: the job has none; -1:
 * failed, ERR_CORRUPT when its bytes are damaged. */
int checkpoints_load(struct db *db, const char *job_id, struct checkpoint *checkpoint,
                     struct err *err);

/* Forgets it: the job's training, its progress and its history begin anew. */
int checkpoints_drop(struct db *db, const char *job_id, struct err *err);

#endif
