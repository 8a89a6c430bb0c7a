/*
 * Numbers between bounds, digit by digit: as long as a number is written like
 * the beginning of a bound, the next digit decides.
 */
#include "inferd/schema_int.h"

#include <string.h>

int
decimal_read(struct decimal *d, const char *p, size_t n)
{
	uint8_t digit[4 * GRAMMAR_DIGITS];
	int64_t point = 0, exp = 0, i, at;
	uint32_t nd = 0, first;
	bool dot = false, lost = false, neg;
	size_t k = 0;

	memset(d, 0, sizeof(*d));
	d->set = true;
	d->neg = n > 0 && p[0] == '-';
	for (k = d->neg; k < n && (p[k] | 32) != 'e'; k++) {
		if (p[k] == '.') {
			dot = true;
			continue;
		}
		if (nd == sizeof(digit)) {
			lost |= p[k] != '0';
		} else if (nd > 0 || p[k] != '0') {
			digit[nd++] = (uint8_t)(p[k] - '0');
		} else if (dot) {
			point--;
			continue;
		} else {
			continue;
		}
		point += !dot;
	}
	neg = k + 1 < n && p[k + 1] == '-';
	for (k += 1; k < n; k++)
		if (p[k] >= '0' && p[k] <= '9' && exp < 100000)
			exp = exp * 10 + (p[k] - '0');
	point += neg ? -exp : exp;
	while (nd > 0 && digit[nd - 1] == 0)
		nd--;
	if (nd == 0) {
		d->neg = false;
		d->nint = 1;
		return 0;
	}
	if (point > (int64_t)GRAMMAR_DIGITS) {
		d->huge = true;
		return 0;
	}
	if (lost || (int64_t)nd - point > (int64_t)GRAMMAR_DIGITS)
		return -1;
	d->nint = point > 0 ? (uint32_t)point : 1;
	first = point > 0 ? 0 : (uint32_t)(1 - point);
	at = (int64_t)first;
	d->nfrac = nd > point ? (uint32_t)((int64_t)nd - point) : 0;
	for (i = 0; i < (int64_t)nd; i++)
		d->digit[at + i] = digit[i];
	return 0;
}

static uint8_t
frac_digit(const struct decimal *d, uint32_t i)
{
	return i < d->nfrac ? d->digit[d->nint + i] : 0;
}

static int
cmp_size(const struct decimal *a, const struct decimal *b)
{
	uint32_t i, n = a->nfrac > b->nfrac ? a->nfrac : b->nfrac;

	if (a->huge || b->huge)
		return a->huge - b->huge;
	if (a->nint != b->nint)
		return a->nint < b->nint ? -1 : 1;
	for (i = 0; i < a->nint; i++)
		if (a->digit[i] != b->digit[i])
			return a->digit[i] < b->digit[i] ? -1 : 1;
	for (i = 0; i < n; i++)
		if (frac_digit(a, i) != frac_digit(b, i))
			return frac_digit(a, i) < frac_digit(b, i) ? -1 : 1;
	return 0;
}

int
decimal_cmp(const struct decimal *a, const struct decimal *b)
{
	if (a->neg != b->neg)
		return a->neg ? -1 : 1;
	return a->neg ? cmp_size(b, a) : cmp_size(a, b);
}

static bool
is_zero(const struct decimal *d)
{
	return !d->huge && d->nint == 1 && d->digit[0] == 0 && d->nfrac == 0;
}

/* Numbers without a sign, from lo to hi. */
struct walk {
	struct gbuild *b;
	struct decimal lo, hi; /* set: there is one */
	bool lo_open, hi_open;
	uint32_t frac;
	uint32_t whole[GRAMMAR_DIGITS + 1][3][3]; /* nodes + 1 */
	uint32_t part[GRAMMAR_DIGITS + 1][2][2];
};

static bool
frac_rest(const struct decimal *d, uint32_t from)
{
	return d->nfrac > from; /* its last digit is not zero */
}

/* Behind j digits of the fraction; lo, hi: so far those of the bound. */
static uint32_t
fraction(struct walk *w, uint32_t j, bool lo, bool hi)
{
	struct gedge e[10] = { { 0 } };
	uint32_t *memo = &w->part[j][lo][hi], node, n = 0;
	bool end = j > 0, l, h;
	uint8_t d, a, z;

	if (*memo != 0)
		return *memo - 1;
	if (lo && (frac_rest(&w->lo, j) || w->lo_open))
		end = false;
	if (hi && w->hi_open && !frac_rest(&w->hi, j))
		end = false;
	a = lo ? frac_digit(&w->lo, j) : 0;
	z = hi ? frac_digit(&w->hi, j) : 9;
	for (d = a; j < w->frac && d <= z; d++) {
		l = lo && d == a;
		h = hi && d == z;
		e[n++] = (struct gedge){ (uint8_t)('0' + d), (uint8_t)('0' + d),
			fraction(w, j + 1, l, h) };
		if (n > 1 && e[n - 2].to == e[n - 1].to) {
			e[n - 2].hi = e[n - 1].hi;
			n--;
		}
	}
	node = n == 0 ? 0 : gbuild_node(w->b, GNODE_EDGES, 0, 0);
	gbuild_edges(w->b, node, e, n);
	node = gbuild_split(w->b, end ? w->b->end : 0, node);
	*memo = node + 1;
	return node;
}

/* Behind the k digits before the point: the end of the number or a fraction.
 * Below (0), like (1) or above (2) the first k digits of the bound. */
static uint32_t
whole_end(struct walk *w, uint32_t k, uint32_t lo, uint32_t hi)
{
	bool end = true, l = false, h = false;
	uint32_t node = 0;

	if (w->lo.set) {
		if (k < w->lo.nint || (k == w->lo.nint && lo == 0))
			return 0;
		l = k == w->lo.nint && lo == 1;
		if (l && (w->lo_open || w->lo.nfrac > 0))
			end = false;
	}
	if (w->hi.set) {
		if (k > w->hi.nint || (k == w->hi.nint && hi == 2))
			return 0;
		h = k == w->hi.nint && hi == 1;
		if (h && w->hi_open && w->hi.nfrac == 0)
			end = false;
	}
	if (w->frac > 0)
		node = gbuild_range(w->b, '.', '.', fraction(w, 0, l, h));
	return gbuild_split(w->b, end ? w->b->end : 0, node);
}

static uint32_t
side(const struct decimal *d, uint32_t k, uint32_t before, uint8_t digit)
{
	if (!d->set || before != 1)
		return before;
	if (k >= d->nint)
		return 2;
	return digit < d->digit[k] ? 0 : digit == d->digit[k] ? 1 : 2;
}

static uint32_t
whole(struct walk *w, uint32_t k, uint32_t lo, uint32_t hi)
{
	uint32_t *memo = &w->whole[k][lo][hi], node = 0, n = 0, l, h, to;
	struct gedge e[10] = { { 0 } };
	uint8_t d;

	if (*memo != 0)
		return *memo - 1;
	for (d = 0; k < GRAMMAR_DIGITS && d <= 9; d++) {
		if (w->hi.set && k >= w->hi.nint)
			break;
		l = side(&w->lo, k, lo, d);
		h = side(&w->hi, k, hi, d);
		/* Nothing follows a zero that comes first. */
		to = k == 0 && d == 0 ? whole_end(w, 1, l, h)
				      : whole(w, k + 1, l, h);
		e[n++] = (struct gedge){ (uint8_t)('0' + d), (uint8_t)('0' + d),
			to };
		if (n > 1 && e[n - 2].to == to) {
			e[n - 2].hi = e[n - 1].hi;
			n--;
		}
	}
	if (n > 0)
		node = gbuild_node(w->b, GNODE_EDGES, 0, 0);
	gbuild_edges(w->b, node, e, n);
	if (k > 0)
		node = gbuild_split(w->b, whole_end(w, k, lo, hi), node);
	*memo = node + 1;
	return node;
}

static uint32_t
unsigned_range(struct gbuild *b, const struct decimal *lo, bool lo_open,
    const struct decimal *hi, bool hi_open, uint32_t frac)
{
	struct walk w = { .b = b,
		.lo = *lo,
		.hi = *hi,
		.lo_open = lo_open,
		.hi_open = hi_open,
		.frac = frac };

	if (lo->set && lo->huge)
		return 0;
	if (hi->set && hi->huge)
		w.hi.set = false;
	return whole(&w, 0, 1, 1);
}

uint32_t
schema_number(struct gbuild *b, const struct range *r, bool integer)
{
	const struct decimal none = { 0 }, zero = { .set = true, .nint = 1 };
	uint32_t frac = integer ? 0 : r->frac, plus = 0, minus = 0;
	const struct decimal *a;
	bool open;

	if (!integer && !r->lo.set && !r->hi.set && frac == GRAMMAR_DIGITS)
		return gbuild_number(b, b->end);
	if (!r->hi.set || !r->hi.neg) {
		a = r->lo.set && !r->lo.neg ? &r->lo : &none;
		plus =
		    unsigned_range(b, a, r->lo_open, &r->hi, r->hi_open, frac);
	}
	if (!r->lo.set || r->lo.neg) {
		a = &none;
		open = true;
		if (r->hi.set && r->hi.neg) {
			a = &r->hi;
			open = r->hi_open;
		} else if (integer || /* which is never written as -0 */
			   (r->hi.set && is_zero(&r->hi) && r->hi_open)) {
			a = &zero;
		}
		minus = unsigned_range(b, a, open, &r->lo, r->lo_open, frac);
		minus = gbuild_range(b, '-', '-', minus);
	}
	return gbuild_split(b, plus, minus);
}
