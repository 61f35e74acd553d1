#include "store/db_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* What the holder wrote, or 0 when it does not read as a number. */
static long db_lock_holder(int fd)
{
    char text[24];
    ssize_t got = pread(fd, text, sizeof text, 0);
    long pid = 0;
    for (ssize_t i = 0; i < got && text[i] >= '0' && text[i] <= '9' && i < 12; i++)
        pid = pid * 10 + (text[i] - '0');
    return pid;
}

static int db_lock_refused(int fd, int cause, const char *shown, struct err *err)
{
    if (cause != EWOULDBLOCK)
        return err_set(err, ERR_IO, "storage_failed", "cannot lock the database %s: %s",
                       shown, strerror(cause));
    long pid = db_lock_holder(fd);
    if (pid > 0)
        return err_set(err, ERR_CONFLICT, "database_in_use",
                       "the database %s is in use by process %ld", shown, pid);
    return err_set(err, ERR_CONFLICT, "database_in_use",
                   "the database %s is in use by another process", shown);
}

static int db_lock_sign(int fd)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0)
        return -1;
    return pwrite(fd, text, (size_t)len, 0) == len ? 0 : -1;
}

int db_lock_take(const char *lock_path, const char *shown, int *fd, struct err *err)
{
    int file = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    if (file < 0)
        return err_set(err, ERR_IO, "storage_failed",
                       "cannot open the lock file of the database %s: %s", shown,
                       strerror(errno));
    int locked;
    do {
        locked = flock(file, LOCK_EX | LOCK_NB);
    } while (locked != 0 && errno == EINTR);
    if (locked != 0) {
        db_lock_refused(file, errno, shown, err);
        close(file);
        return -1;
    }
    /* The lock holds without the pid, which only serves the message: on a full disk the
     * service must still start to be able to delete. */
    if (db_lock_sign(file) != 0 && errno != ENOSPC) {
        err_set(err, ERR_IO, "storage_failed",
                "cannot write the lock file of the database %s: %s", shown,
                strerror(errno));
        close(file);
        return -1;
    }
    *fd = file;
    return 0;
}

void db_lock_release(int fd)
{
    if (fd < 0)
        return;
    /* A pid that is no longer true must not be shown; failing to remove it harms nobody. */
    if (ftruncate(fd, 0) != 0)
        errno = 0;
    close(fd);
}
