/*
 * Does a model say here what it has said elsewhere?
 *
 *   same_logits MODEL.gguf X.logits              weights in F32
 *   same_logits --quantised MODEL.gguf X.logits
 *
 * Every logit within a thousandth of the largest, and the same token on top of
 * each; or, of weights to which each engine multiplies activations rounded in
 * its own way, as near as another engine comes to itself.  One line says how
 * near.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "inferd/model_load.h"
#include "tests/inferd/reference.h"

#define WITHIN 1e-3
#define KLD_MEDIAN 0.019
#define SAME_TOP 0.86

int
main(int argc, char **argv)
{
	const bool quantised = argc > 1 && str_eq(argv[1], "--quantised");
	struct error err = { 0 };
	struct likeness like;
	struct logits l;
	struct model *m;
	struct net *net;
	float *got;
	bool good;

	if (argc != 3 + quantised)
		fatalx("usage: same_logits [--quantised] MODEL.gguf X.logits");
	m = model_open(argv[argc - 2], NULL, &err);
	if (m == NULL)
		fatalx("%s", err.msg);
	net = net_new(model_table(m), &err);
	if (net == NULL)
		fatalx("%s", err.msg);
	logits_read(argv[argc - 1], &l);
	got = logits_of(net, &l, TT_F32);
	like = logits_compare(l.value, got, l.n, l.vocab);
	good = quantised
		   ? like.median <= KLD_MEDIAN && like.same >= SAME_TOP * l.n
		   : like.difference <= WITHIN && like.same == l.n;
	printf("%.2g of the largest, median KLD %.2g, same top token %d of "
	       "%d\n",
	    like.difference, like.median, like.same, l.n);
	free(got);
	logits_free(&l);
	net_free(net);
	model_close(m);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
