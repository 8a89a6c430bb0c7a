/*
 * The audit process: the only one that can write the audit log.  It turns
 * events into records, chains them, and answers a barrier event only when its
 * record is on disk, so that an effect which waits for the answer is recorded
 * before it happens.
 *
 * What it still can do: write, truncate and read the one file the parent
 * handed over, and answer its peers.
 */
#include "daemon/roles.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sha2.h>

#include "base/audit_event.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/peer.h"
#include "base/str.h"
#include "daemon/audit_render.h"
#include "daemon/audit_verify.h"

#define FILE_WAIT_MS 30000
#define CONFIG_MAX 4096u
/* Space kept ahead of the end of the log, so that a full disk is noticed
 * while there is still room to record what leads to a stop. */
#define RESERVE (64u * 1024 * 1024)
#define RESERVE_LOW (32u * 1024 * 1024)
/* While so much of it is left, what leaves a back process has its record. */
#define ROOM_LOW (16u * 1024 * 1024)
/* A group is written early when it gets this big. */
#define GROUP_BYTES (1024u * 1024)
#define GROUP_MAX 1024u
/* Records that need no answer are on disk after at most this long. */
#define SYNC_MS 1000

#define KEY_DROPPED "obj.dropped"

struct waiter {            /* an answer owed */
	struct peer *peer; /* NULL: gone */
	uint32_t serial;
	uint64_t seq;
};

struct audit {
	struct ev *ev;
	struct peers *peers;
	struct ev_timer *sync_timer;
	int fd;
	uint64_t size;       /* bytes of whole records in the file */
	uint64_t reserved;   /* file offset up to which blocks are ours */
	bool reserve_failed; /* said so already */
	uint64_t seq;        /* of the last record in the file */
	uint8_t head[AUDIT_HASH_SIZE]; /* and its hash */
	bool dirty;                    /* written, not yet on disk */
	uint64_t lost;                 /* events that could not be written */
	bool room;                     /* back processes know that there is */

	/* The group: rendered, not yet written. */
	struct buf group;
	uint64_t group_seq;
	uint8_t group_head[AUDIT_HASH_SIZE];
	bool barrier;
	bool deferred;
	struct waiter waiters[GROUP_MAX];
	size_t nwaiters;
	uint32_t group_events;
};

/* Read before the root directory is the log's. */
static char boot_id[BOOT_ID_SIZE];

void
audit_preinit(void)
{
	static const uint8_t none[AUDIT_HASH_SIZE];
	uint8_t hash[AUDIT_HASH_SIZE];

	/* It looks for its configuration and provider now, or never. */
	audit_hash_with(audit_hash_crypto);
	audit_hash(none, "", 0, hash);
	fd_boot_id(boot_id);
	if (boot_id[0] == '\0') {
		log_warnx("no boot id");
		strlcpy(boot_id, "unknown", sizeof(boot_id));
	}
}

/* ---- the group ---------------------------------------------------------- */

static void audit_commit(void *arg);

static void
group_reset(struct audit *a)
{
	buf_clear(&a->group);
	a->group_seq = a->seq;
	memcpy(a->group_head, a->head, sizeof(a->head));
	a->barrier = false;
	a->nwaiters = 0;
	a->group_events = 0;
}

/* Render an event into the group; 0, or -1 if it is malformed. */
static int
group_add(
    struct audit *a, enum role from, uint32_t job, const void *event, size_t n)
{
	struct audit_meta m = { .seq = a->group_seq + 1,
		.boot = boot_id,
		.from = from,
		.job = job };
	uint8_t hash[AUDIT_HASH_SIZE];

	clock_gettime(CLOCK_REALTIME, &m.ts);
	clock_gettime(CLOCK_MONOTONIC, &m.mono);
	if (audit_render(&m, event, n, a->group_head, &a->group, hash) < 0)
		return -1;
	memcpy(a->group_head, hash, sizeof(hash));
	a->group_seq++;
	a->group_events++;
	return 0;
}

/* An event of our own. */
static void
group_own(struct audit *a, struct audit_ev *e)
{
	if (buf_failed(&e->body) ||
	    group_add(a, ROLE_AUDIT, 0, buf_head(&e->body), buf_len(&e->body)) <
		0)
		fatalx("own event cannot be rendered");
	audit_ev_free(e);
	a->barrier = true;
}

static void
answer(struct waiter *w, bool ok, const char *why)
{
	cleanup_buf struct buf b = { 0 };

	if (w->peer == NULL)
		return;
	buf_init(&b, MSG_BODY_MAX);
	buf_put_u8(&b, ok);
	buf_put_u64(&b, ok ? w->seq : 0);
	buf_put_str(&b, why);
	chan_send(w->peer->chan, M_AUDIT_ACK, w->peer->job, w->serial, &b, -1);
}

static void
reserve(struct audit *a)
{
	if (a->reserved > a->size && a->reserved - a->size >= RESERVE_LOW)
		return;
	if (fallocate(a->fd, FALLOC_FL_KEEP_SIZE, (off_t)a->size, RESERVE) ==
	    0) {
		a->reserved = a->size + RESERVE;
		a->reserve_failed = false;
	} else if (!a->reserve_failed) {
		a->reserve_failed = true;
		/* Where the file system cannot reserve there is no saying
		 * when it will be full; writing is what counts. */
		log_warn("audit log: no space ahead of it can be reserved");
	}
}

static void
send_room(struct peer *p, void *arg)
{
	const struct audit *a = arg;
	const uint8_t room = a->room;

	chan_send_bytes(p->chan, M_AUDIT_ROOM, p->job, 0, &room, 1);
}

/* Once a record has failed, or may for want of space, say so. */
static void
tell_room(struct audit *a)
{
	bool room = a->reserved > a->size && a->reserved - a->size >= ROOM_LOW;

	if (room == a->room)
		return;
	a->room = room;
	peers_each(a->peers, ROLE_BACK, send_room, a);
}

static void
on_back_up(struct peer *p)
{
	send_room(p, p->owner);
}

/* The group did not get to disk: as if it had never been. */
static void
group_fail(struct audit *a, const char *what)
{
	int code = errno;
	char why[P_NAME_MAX * 2];

	snprintf(why, sizeof(why), "audit log: %s: %s", what, strerror(code));
	log_warnx("%s: %u events refused", why, a->group_events);
	/* If even that fails, a restart sorts out what is in the file. */
	if (ftruncate(a->fd, (off_t)a->size) < 0)
		fatal(
		    "audit log: truncate to %llu", (unsigned long long)a->size);
	a->reserved = 0; /* the blocks behind the end went with it */
	for (size_t i = 0; i < a->nwaiters; i++)
		answer(&a->waiters[i], false, why);
	a->lost += a->group_events;
	group_reset(a);
	tell_room(a);
}

static void
audit_sync(void *arg)
{
	struct audit *a = arg;

	if (!a->dirty)
		return;
	if (fdatasync(a->fd) < 0)
		log_warn("audit log: sync");
	else
		a->dirty = false;
}

/* End of the loop round: all that came in it goes to disk together. */
static void
audit_commit(void *arg)
{
	struct audit *a = arg;

	a->deferred = false;
	if (buf_len(&a->group) == 0)
		return;
	reserve(a);
	if (fd_write_all(a->fd, buf_head(&a->group), buf_len(&a->group)) < 0) {
		group_fail(a, "write");
		return;
	}
	if (a->barrier && fdatasync(a->fd) < 0) {
		group_fail(a, "sync");
		return;
	}
	a->size += buf_len(&a->group);
	a->seq = a->group_seq;
	memcpy(a->head, a->group_head, sizeof(a->head));
	if (!a->barrier && !a->dirty)
		ev_timer_set(a->sync_timer, SYNC_MS);
	a->dirty = !a->barrier;
	for (size_t i = 0; i < a->nwaiters; i++)
		answer(&a->waiters[i], true, "");
	group_reset(a);
	tell_room(a);
}

/* A hole in the log is said in the log. */
static void
group_gap(struct audit *a)
{
	struct audit_ev e;

	if (a->lost == 0 || buf_len(&a->group) > 0)
		return;
	audit_ev_init(&e, "AU501", "audit.gap", 4, true);
	audit_ev_u64(&e, "obj.events", a->lost);
	group_own(a, &e);
	a->group_events--; /* not one of theirs, if it fails again */
}

/* ---- messages ----------------------------------------------------------- */

static int
on_audit(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct audit *a = p->owner;
	size_t n = m->body.left;
	const uint8_t *event = cur_bytes(&m->body, n);
	struct audit_head h;
	uint32_t job;
	struct cur cur;

	(void)c;
	cur_init(&cur, event, n);
	if (event == NULL || audit_ev_decode(&cur, &h) < 0)
		return -1;
	if (a->nwaiters == GROUP_MAX || buf_len(&a->group) > GROUP_BYTES)
		audit_commit(a);
	group_gap(a);
	/* A process of one job cannot speak for another; the others name the
	 * job they speak of. */
	job = p->job != 0 ? p->job : m->job;
	if (group_add(a, p->role, job, event, n) < 0)
		return -1;
	if (h.barrier)
		a->barrier = true;
	if (m->serial != 0)
		a->waiters[a->nwaiters++] =
		    (struct waiter){ p, m->serial, a->group_seq };
	if (!a->deferred) {
		a->deferred = true;
		ev_defer(a->ev, audit_commit, a);
	}
	return 0;
}

static void
on_down(struct peer *p)
{
	struct audit *a = p->owner;

	for (size_t i = 0; i < a->nwaiters; i++) {
		if (a->waiters[i].peer == p)
			a->waiters[i].peer = NULL;
	}
}

static int
on_file(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct audit *a = p->owner;

	(void)c;
	if (a->fd >= 0 || cur_end(&m->body) < 0)
		return -1;
	a->fd = steal_fd(&m->fd);
	return 0;
}

static int
on_config(struct chan *c, struct msg *m, void *ctx)
{
	uint32_t n = cur_count(&m->body, CONFIG_MAX, 8);

	(void)c;
	(void)ctx;
	for (uint32_t i = 0; i < n; i++) {
		cleanup_free char *key = cur_str(&m->body, P_NAME_MAX);
		cleanup_free char *value = cur_str(&m->body, P_TEXT_MAX);

		if (str_eq(key, "log-level"))
			log_set_level_name(value);
	}
	return cur_end(&m->body);
}

static const struct msg_rule from_parent[] = {
	{ M_CONFIG, MSG_ALLOWED, on_config },
	{ M_AUDIT_FILE, MSG_ALLOWED | MSG_ONCE | MSG_FD, on_file },
	{ M_AUDIT, MSG_ALLOWED, on_audit },
};

static const struct msg_rule from_peer[] = {
	{ M_AUDIT, MSG_ALLOWED, on_audit },
};

static const struct peer_def peer_defs[] = {
	{ ROLE_PARENT, from_peer, nitems(from_peer), NULL, on_down },
	{ ROLE_CONTROL, from_peer, nitems(from_peer), NULL, on_down },
	{ ROLE_KEYD, from_peer, nitems(from_peer), NULL, on_down },
	{ ROLE_BACK, from_peer, nitems(from_peer), on_back_up, on_down },
	{ ROLE_SHIM, from_peer, nitems(from_peer), NULL, on_down },
};

/* ---- start and stop ----------------------------------------------------- */

static void
sha256_hex(const void *p, size_t n, char out[65])
{
	uint8_t sum[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;

	SHA256Init(&ctx);
	SHA256Update(&ctx, p, n);
	SHA256Final(sum, &ctx);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* Cut off what a crash left of a record, and keep its fingerprint. */
static void
log_recover(struct audit *a, const struct audit_verdict *v)
{
	char line[AUDIT_RECORD_MAX + 1], hex[65];
	ssize_t n;

	n = pread(a->fd, line, sizeof(line), (off_t)v->bytes);
	if (n < 0 || (uint64_t)n != v->torn)
		fatal("audit log: read its torn last line");
	sha256_hex(line, (size_t)n, hex);
	if (ftruncate(a->fd, (off_t)v->bytes) < 0)
		fatal("audit log: cut off its torn last line");
	log_info("audit log: %llu bytes of an unfinished record cut off",
	    (unsigned long long)v->torn);

	struct audit_ev e;
	audit_ev_init(&e, "AU201", "audit.recover", 3, true);
	audit_ev_u64(&e, KEY_DROPPED, v->torn);
	audit_ev_str(&e, "obj.sha_dropped", hex);
	group_own(a, &e);
}

/*
 * Continue the log only if all of it is sound.  A chain that went on behind a
 * forged record would vouch for it; starting is refused instead, and an
 * administrator moves the file away.
 */
static void
log_open(struct audit *a)
{
	cleanup_free struct audit_verify *av = xcalloc(1, sizeof(*av));
	cleanup_free uint8_t *chunk = xmalloc(GROUP_BYTES);
	const struct audit_verdict *v;
	struct audit_ev e;
	struct stat st;
	off_t at = 0;
	ssize_t n;
	int flags = fcntl(a->fd, F_GETFL);

	if (flags < 0 || (flags & O_APPEND) == 0 || fstat(a->fd, &st) < 0 ||
	    !S_ISREG(st.st_mode))
		fatalx("audit log: not a regular file opened for appending");
	audit_verify_init(av);
	while ((n = pread(a->fd, chunk, GROUP_BYTES, at)) > 0) {
		audit_verify_bytes(av, chunk, (size_t)n);
		at += n;
	}
	if (n < 0)
		fatal("audit log: read");
	v = audit_verify_end(av);
	if (v->result == AUDIT_TAMPERED)
		fatalx("audit log: record %llu at byte %llu: %s; move the file "
		       "away and keep it as evidence, a new one is begun",
		    (unsigned long long)v->bad_record,
		    (unsigned long long)v->bad_offset, v->why);
	if (v->records > 0 && v->first_seq != 1)
		fatalx("audit log: %s; move the file away, a new one is begun",
		    v->why);

	a->size = v->bytes;
	a->seq = v->last_seq;
	memcpy(a->head, v->head, sizeof(a->head));
	group_reset(a);
	if (v->torn > 0)
		log_recover(a, v);
	audit_ev_init(&e, "AU101", "audit.open", 1, true);
	audit_ev_u64(&e, "obj.records", v->records);
	audit_ev_u64(&e, "obj.bytes", v->bytes);
	audit_ev_bool(&e, "obj.clean", v->records == 0 || v->closed);
	group_own(a, &e);
	audit_commit(a);
	/* Without a first record nothing can be recorded: do not start. */
	if (a->lost > 0)
		fatalx("audit log: cannot be written");
}

static void
on_signal(int signo, void *arg)
{
	struct audit *a = arg;

	(void)signo;
	ev_stop(a->ev);
}

void
audit_main(void)
{
	struct audit *a = xcalloc(1, sizeof(*a));
	struct audit_ev e;

	a->fd = -1;
	buf_init(&a->group, 0);
	a->ev = ev_new();
	ev_signal(a->ev, SIGTERM, on_signal, a);
	a->sync_timer = ev_timer_new(a->ev, audit_sync, a);
	a->peers = peers_new(a->ev, PARENT_FD, from_parent, nitems(from_parent),
	    peer_defs, nitems(peer_defs), a);
	/* A peer that writes earlier waits in its socket. */
	if (chan_wait(peers_parent(a->peers), M_AUDIT_FILE, FILE_WAIT_MS) < 0 ||
	    a->fd < 0)
		fatalx("no audit log from the parent");
	log_open(a);
	peers_ready(a->peers);
	ev_run(a->ev);

	/* The last round committed what came in it. */
	group_gap(a);
	audit_ev_init(&e, "AU102", "audit.close", 1, true);
	group_own(a, &e);
	audit_commit(a);
	peers_free(a->peers);
	ev_timer_free(a->sync_timer);
	ev_once(a->ev, 0); /* releases what the round before let go */
	buf_free(&a->group);
	fd_close(&a->fd);
	ev_free(a->ev);
	free(a);
}
