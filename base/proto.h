/*
 * Every message that brig's processes exchange, in one place: who sends it to
 * whom and what its body holds, in order.  Strings are u32 length + bytes
 * without NUL (buf_put_str/cur_str); limits are the P_*_MAX constants and each
 * receiver enforces them again.  `+fd` means the message carries a
 * descriptor.  Blocks of numbers belong to the sender's side.
 */
#ifndef BRIG_PROTO_H
#define BRIG_PROTO_H

#include <stdint.h>

enum role {
	ROLE_NONE,
	ROLE_PARENT,
	ROLE_CONTROL,
	ROLE_KEYD,
	ROLE_AUDIT,
	ROLE_DNS,
	ROLE_SHIM,
	ROLE_FRONT,
	ROLE_BACK,
	ROLE_STAGE, /* one per brig diff, apply, discard */
	ROLE_MAX
};

/* "parent", "control", ...; "none" for anything else. */
const char *role_name(enum role role);
enum role role_by_name(const char *name); /* ROLE_NONE if unknown */

/* Descriptor number of the channel to the parent in every child. */
#define PARENT_FD 3

#define P_NAME_MAX 64u /* secret, profile, rule and role names */
#define P_HOST_MAX 253u
#define P_TEXT_MAX 4096u /* reasons, details, error sentences */
#define P_URL_MAX 16384u
#define P_PATH_MAX 4096u
#define P_STUB_MAX 16384u /* a secret, a stub */
#define P_SECRETS_MAX 256u
#define P_TOKENS_MAX 16u /* issued to one job, at a time */
#define P_BINDINGS_MAX (P_SECRETS_MAX + P_TOKENS_MAX) /* rows */
/* Where the SSH agent of a job listens in its jail. */
#define P_AGENT_PATH "/tmp/.ssh-agent"
#define P_JOBS_MAX 1024u

enum msg_type {
	/* parent -> any child */
	M_PEER = 1, /* u8 role, u32 job, +fd: a fresh channel to that peer;
		     * replaces an older one of the same role and job */
	M_POLICY,   /* u32 generation, +fd: sealed memfd, policy bundle
		     * (policy/policy.h); control, keyd, back, shim */
	M_CONFIG,   /* u32 n, n * (str key, str value) */
	M_STOP,     /* finish and exit 0 */

	/* any child -> parent */
	M_READY = 20, /* confined, set up, serving */
	M_BAD_PEER,   /* u8 role, u32 job, str why: end that process */

	/* any -> audit; audit -> sender */
	M_AUDIT = 40, /* audit_event body (base/audit_event.h); serial 0: no
		       * answer wanted */
	M_AUDIT_ACK,  /* u8 ok, u64 seq, str why-not; serial echoed.  For a
		       * barrier event sent once it is on disk */

	/* parent -> audit */
	M_AUDIT_FILE, /* +fd: the log, read-write, append; once, at start */

	/* audit -> back */
	M_AUDIT_ROOM, /* u8 room: no record fails for want of space; 0 until
		       * said, again when it changes */

	/* parent -> keyd */
	M_KEYD_OPEN = 60, /* u8 which (enum keyd_file), +fd */
	M_JOB_OPEN,       /* u8[16] nonce, str profile: also after a keyd
			   * restart, for every running job */
	M_JOB_CLOSE,      /* empty: stubs of the job are dead from now on */
	/* keyd -> parent */
	M_CA_CERT,   /* str PEM of the interception CA and of the next
		      * (public); again when they change */
	M_JOB_STUBS, /* u32 n, n * (str name, str env, str stub); env may be
		      * "" */

	M_VAULT_STALE = 402, /* empty: KEYD_KEY and KEYD_FRESH, please */
	M_VAULT_WRITTEN,     /* u8 ok: all that counts is on disk in it */
	/* parent -> keyd */
	M_VAULT_RENAMED, /* u8 ok: it is the vault now; else it is gone */

	/* control -> keyd.  The value travels in a sealed memfd, so that
	 * control never reads it. */
	M_SECRET_ADD = 80, /* str name, cred_spec (proxy/credspec.h), +fd */
	M_SECRET_ROTATE,   /* str name, +fd */
	M_SECRET_REVOKE,   /* str name: keeps the entry, releases nothing */
	M_SECRET_RM,       /* str name */
	M_SECRET_LIST,     /* empty */
	/* keyd -> control */
	M_SECRET_DONE,   /* u8 ok, str error (if ok: a note or ""),
			  * str fingerprint */
	M_SECRET_LISTED, /* u32 n, n * (str name, cred_spec, str fingerprint,
			  * u8 revoked, u64 created unix s, u64 changed unix s,
			  * u32 captured tokens) */

	/* front -> keyd, keyd -> front */
	M_MINT = 100, /* str name (host name or IP literal),
		       * blob SubjectPublicKeyInfo DER */
	M_MINTED,     /* u8 ok, blob certificate DER */

	/* front -> keyd, keyd -> front */
	M_CRL_GET = 440, /* empty */
	M_CRL,           /* u8 ok, blob DER of the list of revoked leaves */
	/* keyd -> front */
	M_CA_CHANGED, /* empty: leaves minted so far are of another CA */
	/* control -> keyd, keyd -> control */
	M_CA_SHOW,   /* empty */
	M_CA_ROTATE, /* empty */
	M_CA_SHOWN,  /* u8 ok, str PEM of the CA and of the next, str why-not */

	/* back -> keyd */
	M_BINDINGS_GET = 110, /* empty */
	M_RELEASE,            /* u32 cred, str method, str scheme, str host,
			       * u16 port, str path, u8 asked (1: a person allowed
			       * this very request) */
	/* keyd -> back */
	M_BINDINGS,     /* u32 n, n * (u32 cred, str name, cred_spec,
			 * u8 revoked, str stub or ""); also unasked, whenever
			 * they change */
	M_RELEASED,     /* u8 ok, blob value, str why-not */
	M_CRED_REVOKED, /* u32 cred: abort what uses it, at once */

	/* back -> keyd, for the agent socket of a job (proxy/sshwire.h) */
	M_SSH_KEYS = 420, /* empty */
	M_SSH_SIGN,       /* blob body of the sign request, blob body of the
			   * session-bind of that connection, or nothing */
	/* keyd -> back */
	M_SSH_KEYS_ARE, /* u32 n, n * (blob public key, str name) */
	M_SSH_SIGNED,   /* u8 ok, blob signature, str why-not */

	/* back -> keyd: a token endpoint issued this (proxy/credspec.h) */
	M_CRED_CAPTURE = 400, /* u32 parent cred, str member, u8 use,
			       * blob value */
	/* keyd -> back, after M_BINDINGS that has it */
	M_CRED_CAPTURED, /* u8 ok, u32 cred, str stub, str why-not */

	/* back -> keyd: a key to sign one request with */
	M_SIGN_KEY = 410, /* as M_RELEASE, then str date (YYYYMMDD), str region,
			   * str service */
	/* keyd -> back */
	M_SIGN_KEY_IS, /* as M_RELEASED; the value is the derived key */

	/* back -> dns, dns -> back */
	M_RESOLVE = 130, /* str name */
	M_RESOLVED,      /* u8 ok, str error, u32 n, n * (u8 family 4|6,
			  * u8[4] or u8[16]) */

	/* shim, back -> control.  serial names the ask on this channel. */
	M_ASK = 140,  /* u8 class (enum policy_class), str rule, str name,
		       * str because, str digest (hex SHA-256), u32 timeout s,
		       * u32 n, n * str line (what the approver sees) */
	M_ASK_CANCEL, /* empty: the action is gone */
	/* control -> shim, back */
	M_ASK_OPENED, /* str ask id ("A-17") */
	M_ASK_ANSWER, /* u8 allow, str ask id, str by, str message */
	/* shim -> control, on every new channel and when it changes */
	M_ATTENDED, /* u8: a client is attached to the job */

	/* control -> parent */
	M_JOB_FD = 160, /* u8 which (enum job_fd), +fd; before M_JOB_START of
			 * the same job number */
	M_JOB_START,    /* +fd: sealed memfd, struct job_spec
			 * (daemon/jobspec.h) */
	M_JOB_KILL,     /* u8 signal */
	M_LOG_OPEN,     /* job's output log; answered by M_OPENED */
	M_AUDIT_OPEN,   /* audit log, read-only; answered by M_OPENED */
	M_STATUS_GET,   /* empty */
	M_RELOAD,       /* empty: read policy again */
	/* parent -> control */
	M_JOB_STATE = 180, /* u8 state (enum job_state), u32 host uid, u32 pid,
			    * u8 exit kind, i32-as-u32 exit code, str detail */
	M_OPENED,          /* u8 ok, str error; +fd always (/dev/null if !ok) */
	M_STATUS,          /* u32 n, n * proc row: u8 role, u32 job, u32 pid,
			    * u32 uid, u32 gid, u64 caps effective,
			    * u64 caps permitted, u8 seccomp mode, u8 nnp,
			    * u64 rss kB, u32 restarts */
	M_RELOADED,        /* u8 ok, u32 generation, str text */
	M_LISTEN,          /* +fd: the listening control socket */
	M_JOBS_SYNC,       /* empty: every job there is has been told by
			    * M_JOB_STATE; another that control holds open is
			    * lost */

	/* parent -> shim */
	M_SHIM_FD = 200, /* u8 which (enum job_fd), +fd; before M_SHIM_START */
	M_SHIM_START,    /* +fd: sealed memfd, struct shim_spec
			  * (daemon/jobspec.h) */
	M_SHIM_KILL,     /* u8 signal; SIGKILL ends the whole tree */
	/* shim -> parent */
	M_CAPTURE,    /* u8 which (enum capture_fd), +fd: for front, also
		       * kept by the parent for a restarted front */
	M_SHIM_STATE, /* u8 state (enum job_state), u32 pid of the job's
		       * pid 1 in the host, str detail; JOB_STARTING: what it
		       * is busy with, for long maybe, or "" */
	M_SHIM_EXIT,  /* u8 kind (enum exit_kind), u32 code, str detail */
	/* parent -> front */
	M_FRONT_FD, /* u8 which (enum capture_fd), +fd */
	/* parent -> back */
	M_BACK_ROOTS, /* +fd: sealed memfd, PEM of every CA trusted upstream;
		       * again when they change */
	M_BACK_HOST_ROOTS, /* +fd: sealed memfd, u32 n, n * (str host, blob
			    * PEM): trusted for that host only */

	/* back -> parent: a connection to the local engine, which says for
	 * whom it is */
	M_INFERD_GET, /* empty */
	/* parent -> back; serial echoed */
	M_INFERD, /* u8 ok, str why-not; +fd always (/dev/null if !ok) */

	/* front -> back: one exchange per serial (proxy/wire.h) */
	M_REQ_HEAD = 220,
	M_REQ_BODY,    /* raw bytes */
	M_REQ_END,     /* u32 n, n * (str name, str value): trailers */
	M_REQ_ABORT,   /* str why: the agent went away or broke the rules */
	M_REQ_WINDOW,  /* u32 more bytes of response body front can take */
	M_FRONT_EVENT, /* u8 kind (enum front_event), str dst, u16 port,
			* str text: recorded by back */
	/* back -> front */
	M_RSP_CONTINUE = 240, /* empty: allowed; the agent may send its body */
	M_RSP_HEAD,
	M_RSP_BODY,   /* raw bytes */
	M_RSP_END,    /* trailers as in M_REQ_END */
	M_RSP_DENY,   /* u16 status, u8 close, str json body; ends exchange */
	M_RSP_ABORT,  /* str why: upstream broke; connection must close */
	M_RSP_WINDOW, /* u32 more bytes of request body back can take */

	/* control -> parent */
	M_JOB_FREEZE = 320, /* u8 freeze or thaw */
	/* parent -> control */
	M_JOB_FROZEN, /* u8 ok, str why-not; serial echoed */
	M_JOB_CGROUP, /* u8 paused, u64 processes killed by the memory limit,
		       * u64 forks refused by the procs limit, str why some
		       * limits are held per process only, or "" */
	/* parent -> shim, before M_SHIM_START */
	M_SHIM_CGROUP, /* u8 which (enum cgroup_fd), u8 its group holds the
			* memory limit, u8 and the procs limit, +fd */
	/* control -> parent -> stage; serial names the request */
	M_STAGE_FD = 340, /* u8 which (enum stage_fd), +fd; before M_STAGE_START
			   * of the same serial; parent -> stage also
			   * STAGE_FD_DIR */
	M_STAGE_START,    /* u8 op (enum stage_op_code), u32 flags, u32 n,
			   * n * str path */
	M_STAGE_GO,       /* u8 ok, str why-not: the plan is on record */
	/* stage -> parent -> control */
	M_STAGE_PLAN, /* u32 changes, u64 bytes, str hex SHA-256 of the list */
	M_STAGE_DONE, /* u8 ok, u32 changes, u32 left, str text */

	/* control -> parent: homes that jobs of a submitter have kept */
	M_HOME_LIST = 350, /* u32 uid */
	M_HOME_RM,         /* u32 uid, str name */
	/* parent -> control; serial echoed */
	M_HOMES, /* u8 ok, str error, u32 n, n * (str name, u64 bytes on disk,
		  * u64 bytes at most, u64 last written unix s, u8 in use) */
	M_HOME_DONE, /* u8 ok, str error */

	/* control -> parent */
	M_JOB_ATTACH = 360, /* u32 uid, u8 read only, +fd: stream socket of
			     * one who wants to watch (base/attach.h) */
	M_TIMING_OPEN,      /* as M_LOG_OPEN, for the times of the log */
	/* parent -> shim; also before M_SHIM_START */
	M_SHIM_ATTACH, /* as M_JOB_ATTACH */

	/* parent -> shim */
	M_SHIM_PREPARE = 380, /* empty: no job yet; make what any will need;
			       * after M_SHIM_FD with the CA bundle if there is
			       * one, which that of the job replaces */
};

enum keyd_file {
	KEYD_VAULT, /* vault file, read-write, owned by keyd's user */
	KEYD_KEY,   /* 32-byte master key, read-only */
	KEYD_FRESH, /* empty file for what counts of the vault */
};

enum cgroup_fd {
	CGROUP_FD_V2,  /* folder of a v2 group, for clone3(2) */
	CGROUP_FD_V1,  /* cgroup.procs of a v1 group; several */
	CGROUP_FD_OOM, /* counts what the memory limit has killed */
	CGROUP_FD_MAX
};

enum job_fd {
	JOB_FD_WORKSPACE, /* O_PATH directory, opened by the submitter */
	JOB_FD_ATTACH,    /* stream socket, frames of base/attach.h */
	JOB_FD_LOG,       /* parent -> shim only: output log, append */
	JOB_FD_CA,        /* parent -> shim only: sealed memfd, CA bundle PEM */
	JOB_FD_TRUST,     /* parent -> shim only: the same as PKCS#12, for
			   * Java */
	JOB_FD_DIR,       /* parent -> shim only: the job's own directory */
	JOB_FD_STATE,     /* parent -> shim only: state-dir, for a profile that
			   * keeps its home or has a root of its own */
	JOB_FD_TIMING,    /* parent -> shim only: times of the log, append */
	JOB_FD_MAX
};

enum stage_fd {
	STAGE_FD_WORKSPACE, /* O_PATH directory, opened by the client */
	STAGE_FD_OUT,       /* pipe or socket for what is shown */
	STAGE_FD_DIR,       /* parent -> stage only: "staged" of the job */
	STAGE_FD_MAX
};

enum capture_fd {
	CAPTURE_TCP,   /* dual-stack listener of sk_lookup */
	CAPTURE_UDP,   /* dual-stack datagram socket of sk_lookup */
	CAPTURE_DNS,   /* 127.0.0.53:53 datagram socket */
	CAPTURE_AGENT, /* listener at P_AGENT_PATH, if the job has a use for
			* it */
	CAPTURE_MAX
};

enum job_state {
	JOB_QUEUED,
	JOB_STARTING,
	JOB_RUNNING,
	JOB_DONE,   /* exited by itself, whatever the status */
	JOB_FAILED, /* brig could not run it */
	JOB_KILLED,
	JOB_LOST, /* daemon or shim crashed under it */
	/* Ended, with a staged workspace: */
	JOB_REVIEW,    /* what it wrote waits for apply or discard */
	JOB_APPLIED,   /* all of it has landed */
	JOB_DISCARDED, /* what had not is gone */
	JOB_STATE_MAX
};

enum exit_kind {
	EXIT_CODE,   /* code = exit status */
	EXIT_SIGNAL, /* code = signal number */
	EXIT_BRIG,   /* code = 125, 126 or 127; detail says why */
};

enum front_event {
	FRONT_UDP,      /* datagram dropped */
	FRONT_NOT_HTTP, /* first bytes are neither TLS nor HTTP */
	FRONT_TLS,      /* handshake failed; text says how */
	FRONT_BAD_HTTP, /* refused by the parser; text is the reason */
	FRONT_NO_NAME,  /* TLS without SNI to an unknown address */
	FRONT_LIMIT,    /* a limit was hit; text names it */
	FRONT_EVENT_MAX
};

/* Surfaces of a credential on which its stub is swapped. */
#define SURFACE_HEADER 1u /* anywhere in the value of the named header */
#define SURFACE_BASIC 2u  /* user or password of Basic auth */
#define SURFACE_QUERY 4u  /* value of the named query parameter */
#define SURFACE_PATH 8u   /* in the path of the target */
#define SURFACE_BODY_JSON 16u
#define SURFACE_BODY_FORM 32u
#define SURFACE_BODY_TEXT 64u
#define SURFACE_WS_TEXT 128u /* text messages of a WebSocket */
#define SURFACE_ALL 255u

const char *job_state_name(enum job_state s);

#endif
