/* file.c - reads and replaces whole files; append-only logs.
 *
 * Reading maps a regular file and falls back to read() where mapping fails (pipes, terminals, some file systems),
 * up to GLIA_FILE_STREAM_MOST bytes. Other devices are refused, since many are endless (/dev/zero).
 * Writing does not modify the old file: the new one is written to PATH.tmp, synced, and renamed over the old one, which
 * POSIX makes atomic. Then the folder is synced so that the rename survives a power loss.
 *
 * Logs are appended in place, one record at a time. A crash can only tear the last record; opening a log at a known
 * length truncates it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

static glia_status fail_errno(glia_error *error, const char *path, int code) {
    glia_status status = code == ENOENT || code == ENOTDIR ? GLIA_E_NOT_FOUND
                         : code == ENOMEM                  ? GLIA_E_NOMEM
                                                           : GLIA_E_IO;
    return glia_fail(error, status, "%s: %s", path, strerror(code));
}

/* ---- reading ------------------------------------------------------------------------------ */

int glia_file_read_all(int fd, size_t most, uint8_t **bytes, size_t *length) {
    uint8_t *buffer = NULL;
    size_t used = 0, capacity = 0;
    for (;;) {
        if (used == capacity) {
            if (used > most) {
                free(buffer);
                return EFBIG;
            }
            size_t wanted = GLIA_MIN(capacity ? capacity * 2 : 65536, most + 1); /* one more, to detect a longer file */
            uint8_t *grown = realloc(buffer, wanted);
            if (!grown) {
                free(buffer);
                return ENOMEM;
            }
            buffer = grown;
            capacity = wanted;
        }
        ssize_t n = read(fd, buffer + used, capacity - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            int code = errno;
            free(buffer);
            return code;
        }
        if (n == 0) break;
        used += (size_t)n;
    }
    *bytes = buffer;
    *length = used;
    return 0;
}

static bool is_device(const struct stat *info, int fd) {
    return S_ISBLK(info->st_mode) || (S_ISCHR(info->st_mode) && !isatty(fd));
}

bool glia_file_is_device(const char *path) {
    struct stat info;
    if (stat(path, &info) || !(S_ISBLK(info.st_mode) || S_ISCHR(info.st_mode))) return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    bool device = fd < 0 || is_device(&info, fd);
    if (fd >= 0) close(fd);
    return device;
}

glia_status glia_file_open(glia_file *file, const char *path, glia_error *error) {
    *file = (glia_file){ 0 };
    if (!path) return glia_fail_null(error, "path");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(error, path, errno);
    struct stat info;
    int code = 0;
    if (fstat(fd, &info)) {
        code = errno;
    } else if (S_ISDIR(info.st_mode)) {
        code = EISDIR;
    } else if (is_device(&info, fd)) {
        close(fd);
        return glia_fail(error, GLIA_E_IO, "%s is a device, not a file", path);
    } else if (S_ISREG(info.st_mode) && info.st_size > 0 && (uintmax_t)info.st_size <= SIZE_MAX / 2) {
        size_t size = (size_t)info.st_size;
        void *mapping = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (mapping != MAP_FAILED) {
            *file = (glia_file){ .bytes = mapping, .length = size, .mapping = mapping, .mapped = size };
        }
    }
    if (!code && !file->mapping) {
        uint8_t *bytes = NULL;
        code = glia_file_read_all(fd, GLIA_FILE_STREAM_MOST, &bytes, &file->length);
        file->bytes = file->mapping = bytes;
    }
    close(fd);
    if (code == EFBIG) {
        return glia_fail(error, GLIA_E_IO, "%s: the stream has more than %d MiB; save it to a file first", path,
                         GLIA_FILE_STREAM_MOST >> 20);
    }
    return code ? fail_errno(error, path, code) : GLIA_OK;
}

void glia_file_close(glia_file *file) {
    if (file->mapped) {
        munmap(file->mapping, file->mapped);
    } else {
        free(file->mapping);
    }
    *file = (glia_file){ 0 };
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Writes all pieces; 0, or errno. */
static int write_all(int fd, const glia_span *pieces, int n) {
    for (int i = 0; i < n; i++) {
        const uint8_t *p = pieces[i].bytes;
        size_t rest = pieces[i].length;
        while (rest) {
            ssize_t written = write(fd, p, GLIA_MIN(rest, (size_t)1 << 30));
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return errno;
            p += written;
            rest -= (size_t)written;
        }
    }
    return 0;
}

/* Makes the rename durable. Not every file system can sync a folder, so a failure is ignored. */
static void sync_folder(char *path) {
    char *slash = strrchr(path, '/');
    if (slash == path) slash++;
    if (slash) *slash = 0;
    int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

/* Writes `target`.tmp and renames it over `target`; a new file keeps the old one's permissions. 0, or errno. */
static int replace(const char *target, const struct stat *old, char *temporary, const glia_span *pieces, int n) {
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return errno;
    int code = write_all(fd, pieces, n);
    if (!code && old && fchmod(fd, old->st_mode & 07777)) code = errno;
    if (!code && fsync(fd) && errno != EINVAL && errno != ENOSYS) code = errno;
    if (close(fd) && !code) code = errno;
    if (!code && rename(temporary, target)) code = errno;
    if (code) {
        unlink(temporary);
    } else {
        sync_folder(temporary);
    }
    return code;
}

/* Devices and pipes are written to directly, without replacement. 0, or errno. */
static int write_device(const char *path, const glia_span *pieces, int n) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    int code = write_all(fd, pieces, n);
    if (close(fd) && !code) code = errno;
    return code;
}

glia_status glia_file_replace(const char *path, const glia_span *pieces, int n, glia_error *error) {
    struct stat old;
    bool exists = !stat(path, &old);
    if (exists && !S_ISREG(old.st_mode) && !S_ISDIR(old.st_mode)) {
        int code = write_device(path, pieces, n);
        return code ? fail_errno(error, path, code) : GLIA_OK;
    }
    char *real = exists ? realpath(path, NULL) : NULL; /* a symbolic link is kept; its target is replaced */
    if (exists && !real) return fail_errno(error, path, errno);
    const char *target = real ? real : path;
    size_t room = strlen(target) + 5;
    char *temporary = malloc(room);
    if (!temporary) {
        free(real);
        return glia_fail_nomem(error);
    }
    snprintf(temporary, room, "%s.tmp", target);
    int code = replace(target, exists ? &old : NULL, temporary, pieces, n);
    free(temporary);
    free(real);
    return code ? fail_errno(error, path, code) : GLIA_OK;
}

/* ---- logs --------------------------------------------------------------------------------- */

glia_status glia_log_file_open(glia_log_file *log, const char *path, int64_t length, glia_error *error) {
    *log = (glia_log_file){ .fd = -1 };
    int fd = open(path, O_WRONLY | O_CLOEXEC | (length ? 0 : O_CREAT), 0666);
    if (fd < 0) return fail_errno(error, path, errno);
    struct stat info;
    int code = fstat(fd, &info) ? errno : 0;
    if (!code && info.st_size < length) {
        close(fd);
        return glia_fail(error, GLIA_E_FORMAT, "%s: has %lld bytes; at the checkpoint it had %lld", path,
                         (long long)info.st_size, (long long)length);
    }
    if (!code && info.st_size > length && ftruncate(fd, (off_t)length)) code = errno;
    if (!code && S_ISREG(info.st_mode) && lseek(fd, (off_t)length, SEEK_SET) < 0) code = errno;
    if (code) {
        close(fd);
        return fail_errno(error, path, code);
    }
    *log = (glia_log_file){ .fd = fd, .length = length };
    return GLIA_OK;
}

glia_status glia_log_file_append(glia_log_file *log, const char *path, const void *bytes, size_t length,
                                 glia_error *error) {
    int code = write_all(log->fd, &(glia_span){ bytes, length }, 1);
    if (!code) {
        log->length += (int64_t)length;
        return GLIA_OK;
    }
    if (!ftruncate(log->fd, (off_t)log->length)) lseek(log->fd, (off_t)log->length, SEEK_SET);
    return fail_errno(error, path, code);
}

void glia_log_file_close(glia_log_file *log) {
    if (log->fd >= 0) close(log->fd);
    *log = (glia_log_file){ .fd = -1 };
}
