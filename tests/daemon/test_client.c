/*
 * The client's end of the control socket against a server that may say
 * anything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "daemon/cli_util.h"
#include "daemon/client.h"

static struct client *client;
static int server = -1;

static int
setup(void **state)
{
	int sv[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	client = client_new(sv[0]);
	server = sv[1];
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	client_free(client);
	fd_close(&server);
	return 0;
}

static void
say(const char *s)
{
	assert_int_equal(fd_write_all(server, s, strlen(s)), 0);
}

/* Send an empty request, have the server answer, return what comes of it. */
static json_t *
ask(const char *reply, struct error *err)
{
	memset(err, 0, sizeof(*err));
	assert_int_equal(client_send(client, "status", NULL, NULL, 0, err), 0);
	say(reply);
	return client_recv(client, err);
}

static void
request_is_one_line_with_version_id_and_op(void **state)
{
	struct error err;
	char line[256];
	json_t *r, *rq;
	ssize_t n;

	(void)state;
	r = ask("{\"id\":1,\"ok\":true,\"result\":{\"x\":7}}\n", &err);
	assert_non_null(r);
	assert_int_equal(cli_int(r, "x"), 7);
	json_decref(r);
	n = read(server, line, sizeof(line));
	assert_true(n > 0 && line[n - 1] == '\n');
	rq = json_loadb(line, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(cli_int(rq, "v"), 1);
	assert_int_equal(cli_int(rq, "id"), 1);
	assert_string_equal(cli_str(rq, "op"), "status");
	json_decref(rq);
}

static void
reply_in_single_bytes_is_the_same(void **state)
{
	static const char reply[] =
	    "{\"id\":1,\"ok\":true,\"result\":{\"s\":\"\\u00e9\"}}\n";
	struct error err;
	pid_t pid;
	json_t *r;

	(void)state;
	assert_int_equal(client_send(client, "x", NULL, NULL, 0, &err), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		for (const char *p = reply; *p != '\0'; p++) {
			struct timespec ts = { 0, 100000 };

			fd_write_all(server, p, 1);
			nanosleep(&ts, NULL);
		}
		_exit(0);
	}
	r = client_recv(client, &err);
	assert_non_null(r);
	assert_string_equal(cli_str(r, "s"), "\xc3\xa9");
	json_decref(r);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
two_replies_in_one_read_are_two(void **state)
{
	struct error err;
	json_t *r;

	(void)state;
	r = ask("{\"id\":1,\"ok\":true,\"result\":{\"n\":1}}\n"
		"{\"id\":2,\"ok\":true,\"result\":{\"n\":2}}\n",
	    &err);
	assert_int_equal(cli_int(r, "n"), 1);
	json_decref(r);
	r = ask("", &err);
	assert_int_equal(cli_int(r, "n"), 2);
	json_decref(r);
}

static void
what_is_no_reply_is_refused(void **state)
{
	static const char *const bad[] = { "\n", "hello\n", "[]\n", "{}\n",
		"{\"id\":9,\"ok\":true,\"result\":{}}\n",
		"{\"id\":1,\"ok\":true}\n",
		"{\"id\":1,\"ok\":true,\"result\":[]}\n",
		"{\"id\":1,\"ok\":true,\"ok\":true,\"result\":{}}\n",
		"{\"id\":1,\"ok\":\"true\",\"result\":{}}\n",
		"{\"id\":1,\"ok\":false}\n",
		"{\"id\":1,\"ok\":false,\"error\":{\"code\":\"x\"}}\n",
		"{\"id\":1,\"ok\":true,\"result\":{}} x\n",
		"{\"id\":1,\"ok\":true,\"result\":{\"s\":\"\xff\"}}\n" };
	struct error err;

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		assert_null(ask(bad[i], &err));
		assert_true(str_starts(err.msg, "brigd: a reply "));
		teardown(NULL);
		setup(NULL);
	}
}

static void
refusal_gives_code_and_printable_words(void **state)
{
	struct error err;

	(void)state;
	assert_null(ask("{\"id\":1,\"ok\":false,\"error\":{\"code\":"
			"\"not_found\",\"message\":\"no job \\u001b[2J\"}}\n",
	    &err));
	assert_string_equal(err.msg, "no job \\x1b[2J");
	assert_string_equal(client->code, "not_found");
	/* The next request forgets it. */
	json_t *r = ask("{\"id\":2,\"ok\":true,\"result\":{}}\n", &err);
	assert_non_null(r);
	assert_string_equal(client->code, "");
	json_decref(r);
}

static void
closed_connection_is_said(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(client_send(client, "x", NULL, NULL, 0, &err), 0);
	say("{\"id\":1,\"ok\":tr");
	fd_close(&server);
	assert_null(client_recv(client, &err));
	assert_true(str_starts(err.msg, "brigd closed the connection"));
	/* And no SIGPIPE. */
	assert_int_equal(client_send(client, "x", NULL, NULL, 0, &err), -1);
}

static void
endless_line_is_given_up(void **state)
{
	struct error err = { 0 };
	pid_t pid;

	(void)state;
	assert_int_equal(client_send(client, "x", NULL, NULL, 0, &err), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		char *p = xmalloc(65536);

		fd_close(&client->fd); /* else nobody sees it closed */
		alarm(60);
		memset(p, 'a', 65536);
		while (send(server, p, 65536, MSG_NOSIGNAL) > 0)
			continue;
		_exit(0);
	}
	fd_close(&server);
	assert_null(client_recv(client, &err));
	assert_string_equal(err.msg, "brigd: its reply is too long");
	fd_close(&client->fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
oversize_request_is_refused_here(void **state)
{
	char *p = xmalloc(CLIENT_LINE_MAX + 1);
	struct error err = { 0 };

	(void)state;
	memset(p, 'a', CLIENT_LINE_MAX);
	p[CLIENT_LINE_MAX] = '\0';
	assert_int_equal(
	    client_send(client, "x", json_pack("{s:s}", "a", p), NULL, 0, &err),
	    -1);
	assert_non_null(strstr(err.msg, "too long"));
	free(p);
}

static void
descriptors_ride_on_the_first_byte(void **state)
{
	int fds[FD_PASS_MAX], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	int both[] = { null, zero };
	struct error err;
	size_t n;
	char c;

	(void)state;
	assert_int_equal(
	    client_send(client, "job.run", NULL, both, 2, &err), 0);
	assert_int_equal(fd_recvmsg(server, &c, 1, fds, FD_PASS_MAX, &n), 1);
	assert_int_equal(n, 2);
	assert_int_equal(read(fds[0], &c, 1), 0);
	assert_int_equal(read(fds[1], &c, 1), 1);
	close(fds[0]);
	close(fds[1]);
	close(null);
	close(zero);
}

static void
received_descriptor_is_taken_once(void **state)
{
	static const char reply[] = "{\"id\":1,\"ok\":true,\"result\":{}}\n";
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), fds[2], fd;
	struct error err;
	json_t *r;

	(void)state;
	fds[0] = fds[1] = null;
	assert_int_equal(client_send(client, "x", NULL, NULL, 0, &err), 0);
	assert_int_equal(fd_sendmsg(server, reply, sizeof(reply) - 1, fds, 2),
	    sizeof(reply) - 1);
	r = client_recv(client, &err);
	assert_non_null(r);
	json_decref(r);
	fd = client_take_fd(client);
	assert_true(fd >= 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	/* The second was not asked for and is closed. */
	assert_int_equal(fcntl(fd + 1, F_GETFD), -1);
	assert_int_equal(client_take_fd(client), -1);
	close(fd);
	close(null);
}

static void
socket_path_that_does_not_fit_is_refused(void **state)
{
	char path[200];
	struct error err = { 0 };

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_null(client_open(path, &err));
	assert_non_null(strstr(err.msg, "too long"));
	assert_null(client_open("/nonexistent/socket", &err));
	assert_non_null(strstr(err.msg, "systemctl start brigd"));
}

static void
ids_are_completed(void **state)
{
	static const char *const good[] = { "17", "j17", "j-17", "J-17" };
	static const char *const bad[] = { "", "j-", "x-17", "0", "-17", "17 ",
		"j--1", "99999999999", "A-17" };
	char id[24];

	(void)state;
	for (size_t i = 0; i < nitems(good); i++) {
		assert_true(cli_job_id(good[i], id));
		assert_string_equal(id, "j-17");
	}
	for (size_t i = 0; i < nitems(bad); i++)
		assert_false(cli_job_id(bad[i], id));
	assert_true(cli_ask_id("a-3", id));
	assert_string_equal(id, "A-3");
}

static void
ages_are_relative(void **state)
{
	int64_t now = (int64_t)time(NULL);

	(void)state;
	assert_string_equal(cli_age(0), "-");
	assert_string_equal(cli_age(now - 90), "90s ago");
	assert_string_equal(cli_age(now - 600), "10m ago");
	assert_string_equal(cli_age(now - 3 * 3600), "3h ago");
	assert_string_equal(cli_age(now - 5 * 86400), "5d ago");
	assert_true(str_starts(cli_age(now + 600), "in "));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(request_is_one_line_with_version_id_and_op),
		CASE(reply_in_single_bytes_is_the_same),
		CASE(two_replies_in_one_read_are_two),
		CASE(what_is_no_reply_is_refused),
		CASE(refusal_gives_code_and_printable_words),
		CASE(closed_connection_is_said),
		CASE(endless_line_is_given_up),
		CASE(oversize_request_is_refused_here),
		CASE(descriptors_ride_on_the_first_byte),
		CASE(received_descriptor_is_taken_once),
		cmocka_unit_test(socket_path_that_does_not_fit_is_refused),
		cmocka_unit_test(ids_are_completed),
		cmocka_unit_test(ages_are_relative),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
