/* Compressed captures: what they are packed with tells their content, and its program unpacks them, on another core. */
#define _GNU_SOURCE
#include "source_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define MAGIC 6        /* octets that tell */
#define PAUSE_NS 2000000

/* How packed files begin, and what unpacks them with -dc. */
static const struct packing {
    const char *magic;
    size_t length;
    const char *program;
} packings[] = {
    {"\x1f\x8b", 2, "gzip"},             /* RFC 1952 */
    {"\x1f\x9d", 2, "gzip"},             /* compress */
    {"PK\3\4", 4, "gzip"},               /* zip, with one file in it */
    {"BZh", 3, "bzip2"},
    {"\xfd" "7zXZ", 6, "xz"},
    {"\x28\xb5\x2f\xfd", 4, "zstd"},     /* RFC 8878 */
    {"\x04\x22\x4d\x18", 4, "lz4"},
    {"\x02\x21\x4c\x18", 4, "lz4"},      /* as it was before it had frames */
    {"LZIP", 4, "lzip"},
};

/* A frame of zstd or lz4 that is to be skipped, as pzstd puts it first. */
static int is_skippable(const uint8_t *head, size_t n)
{
    return n >= 4 && (head[0] & 0xf0) == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18;
}

/* The program for a file that begins so; NULL: it is not packed. `undecided`: it may be, with more of it. */
static const char *program_for(const uint8_t *head, size_t n, int *undecided)
{
    *undecided = 0;
    if (is_skippable(head, n))
        return "zstd";
    for (size_t i = 0; i < sizeof packings / sizeof *packings; i++) {
        const struct packing *one = &packings[i];
        size_t common = n < one->length ? n : one->length;
        if (memcmp(head, one->magic, common) == 0) {
            if (common == one->length)
                return one->program;
            *undecided = 1;
        }
    }
    if (n < 4 && (n == 0 || (head[0] & 0xf0) == 0x50))
        *undecided = 1;
    return NULL;
}

/* How what is to be read begins, none of which is taken: so many octets as are there. -1: it cannot be looked at so. */
static ssize_t look(struct ps_source *s, uint8_t *head, const int pipes[2])
{
    struct stat status;
    if (fstat(s->fd, &status) < 0)
        return -1;
    if (S_ISREG(status.st_mode))
        return pread(s->fd, head, MAGIC, lseek(s->fd, 0, SEEK_CUR));
    if (S_ISSOCK(status.st_mode))
        return recv(s->fd, head, MAGIC, MSG_PEEK | MSG_DONTWAIT);
    if (!S_ISFIFO(status.st_mode) || tee(s->fd, pipes[1], MAGIC, SPLICE_F_NONBLOCK) < 0)
        return -1;
    ssize_t n = read(pipes[0], head, MAGIC); /* tee() has copied to there */
    return n < 0 ? 0 : n;
}

/* What unpacks s->fd; NULL where nothing has to, or we stopped. Waits for the first octets. */
static const char *program_of(struct ps_source *s)
{
    uint8_t head[MAGIC];
    const char *program = NULL;
    int pipes[2], undecided = 1;
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
        return NULL;
    while (undecided && !ps_given_up(s)) {
        struct pollfd fds[2] = {{s->fd, POLLIN, 0}, {s->stopfd, POLLIN, 0}};
        if (!s->regular && poll(fds, 2, -1) < 0 && errno == EINTR)
            continue;
        if (ps_given_up(s))
            break;
        ssize_t n = look(s, head, pipes);
        if (n < 0)
            break;
        program = program_for(head, (size_t)n, &undecided);
        if (program || s->regular || fds[0].revents & (POLLHUP | POLLERR) || (n == 0 && fds[0].revents & POLLIN))
            break; /* there is no more to come */
        if (undecided) { /* a writer that writes octet by octet: poll() would not wait for the next */
            struct timespec pause = {0, PAUSE_NS};
            nanosleep(&pause, NULL);
        }
    }
    close(pipes[0]);
    close(pipes[1]);
    return program;
}

/* Starts `program -dc` on s->fd, whose place its output takes. */
static int start(struct ps_source *s, const char *program)
{
    char *arguments[] = {(char *)program, (char *)"-dc", NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    int out[2];
    if (pipe2(out, O_CLOEXEC) < 0) {
        ps_fail(&s->error, PS_E_SYSTEM, strerror(errno));
        return -1;
    }
    fcntl(out[0], F_SETPIPE_SZ, 1 << 20);
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE); /* the interpreter ignores it; to them it says that nobody reads any more */
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0); /* Ctrl-C is for us: we end it */
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, s->fd, 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    struct ps_unpacker *unpacker = &s->unpackers[s->n_unpackers];
    int rc = posix_spawnp(&unpacker->pid, program, &files, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    close(out[1]);
    if (rc) {
        close(out[0]);
        ps_fail(&s->error, rc == ENOENT ? PS_E_NO_UNPACKER : PS_E_SYSTEM, rc == ENOENT ? program : strerror(rc));
        return -1;
    }
    unpacker->program = program;
    s->n_unpackers++;
    close(s->fd);
    s->fd = out[0];
    s->regular = 0;
    return 0;
}

int ps_unpack(struct ps_source *s)
{
    const char *program;
    while (s->n_unpackers < UNPACKERS && (program = program_of(s)))
        if (start(s, program) < 0)
            return -1;
    return ps_given_up(s) ? -1 : 0;
}

void ps_unpacked(struct ps_source *s)
{
    int why = s->error.why;
    if (!s->n_unpackers)
        return;
    snprintf(s->error.unpacker, sizeof s->error.unpacker, "%s", s->unpackers[s->n_unpackers - 1].program);
    if (LOAD(s->stop) || (why && why != PS_E_CUT && why != PS_E_EMPTY && why != PS_E_NOT_CAPTURE))
        return; /* they have not come to their ends */
    close(s->fd); /* whoever has more to say gets SIGPIPE */
    s->fd = -1;
    for (int i = 0; i < s->n_unpackers; i++) {
        struct ps_unpacker *one = &s->unpackers[i];
        int status = 0;
        while (waitpid(one->pid, &status, 0) < 0 && errno == EINTR)
            ;
        one->pid = 0;
        if (status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) || s->error.status)
            continue;
        s->error.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        snprintf(s->error.unpacker, sizeof s->error.unpacker, "%s", one->program);
        if (why != PS_E_CUT) { /* what it put out ends where a record ends, or is nothing */
            s->error.why = PS_E_UNPACK;
            s->error.offset = s->offset;
        }
    }
}
