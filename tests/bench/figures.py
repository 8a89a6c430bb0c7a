"""Turn what the benchmarks measured into one JSON object a line.

  figures.py spawn NAME PEER FILE     lines of brig-spawn: brig, peer and,
                                      if there is a third, no jail at all
  figures.py pairs NAME PEER FILE     nanoseconds of brig and peer, by rounds
  figures.py load NAME UNIT PREFIX    PREFIX.{brig,squid,...} of brig-load
  figures.py added NAME PREFIX        the same: what one request takes longer
  figures.py h2load NAME PREFIX       PREFIX.{h2,h1} of h2load
  figures.py events NAME PREFIX       PREFIX.{brig,direct} of events.py
  figures.py private STATUS           KiB of front and back, a number alone
  figures.py grown NAME BEFORE AFTER  two such numbers
  figures.py rss STATUS               private memory of front and back
  figures.py idle STATUS PID          of an idle job, on average of 200
"""
import json
import os
import statistics
import sys


def out(name, unit, median, p99=None, peer=None, peer_median=None, **more):
    def short(x):
        return None if x is None else round(x, 2)
    ratio = round(median / peer_median, 3) if peer_median else None
    print(json.dumps(dict(name=name, unit=unit, median=short(median),
                          p99=short(p99), peer=peer,
                          peer_median=short(peer_median), ratio=ratio,
                          **more)), flush=True)


def spawn(name, peer, path):
    with open(path) as f:
        (m, p99), (pm, pp99), *direct = [
            [float(x) / 1000 for x in line.split()] for line in f]
    more = dict(direct=round(direct[0][0], 2)) if direct else {}
    out(name, 'ms', m, p99, peer, pm, peer_p99=round(pp99, 2), **more)


def pairs(name, peer, path):
    with open(path) as f:
        brig, other = zip(*([int(x) / 1e6 for x in line.split()]
                            for line in f))
    out(name, 'ms', statistics.median(brig), max(brig), peer,
        statistics.median(other))


def loads(name, prefix, who):
    """Rows of (ok, errors, seconds, p50 us, p99 us, bytes); [] if none."""
    if not os.path.exists(f'{prefix}.{who}'):
        return []
    rows = []
    with open(f'{prefix}.{who}') as f:
        for line in f:
            row = list(map(float, line.split()))
            if row[0] == 0 or row[1]:
                sys.exit(f'{name}: {who}: {row[1]:.0f} errors')
            rows.append(row)
    return rows


def load(name, unit, prefix):
    """Medians over the rounds, of rates and of each round's p99 latency."""
    rates, tails = {}, {}
    for who in ('brig', 'squid', 'sslsplit', 'mitmproxy', 'direct'):
        rows = loads(name, prefix, who)
        if rows:
            rates[who] = statistics.median(
                size / secs / 1e6 if unit == 'MB/s' else ok / secs
                for ok, _, secs, _, _, size in rows)
            tails[who] = statistics.median(row[4] for row in rows) / 1000
    peer = 'squid' if 'squid' in rates else 'direct'
    more = {who: round(rate, 2) for who, rate in rates.items()
            if who not in ('brig', peer)}
    out(name, unit, rates['brig'], None, peer, rates[peer],
        latency_p99_ms=round(tails['brig'], 3),
        peer_latency_p99_ms=round(tails[peer], 3), **more)


def added(name, prefix):
    """What a request takes longer than directly: median of p50s, in us."""
    p50 = {who: statistics.median(row[3] for row in rows)
           for who in ('brig', 'squid', 'sslsplit', 'mitmproxy', 'direct')
           if (rows := loads(name, prefix, who))}
    more = {f'{who}_added': round(p50[who] - p50['direct'], 1)
            for who in p50 if who != 'direct'}
    out(name, 'us', p50['brig'], None, 'direct', p50['direct'], **more)


def h2load(name, prefix):
    """Requests a second that h2load tells, of one connection and of eight."""
    rates = {}
    for who in ('h2', 'h1'):
        with open(f'{prefix}.{who}') as f:
            rates[who] = statistics.median(
                float(line.split(', ')[1].split()[0]) for line in f
                if line.startswith('finished in'))
    out(name, 'rps', rates['h2'], None, 'h1_c8', rates['h1'])


def events(name, prefix):
    """Times of events, with and without the proxy."""
    times = {}
    for who in ('brig', 'direct'):
        with open(f'{prefix}.{who}') as f:
            times[who] = sorted(map(float, f))
    tail = {who: t[len(t) * 99 // 100] for who, t in times.items()}
    out(name, 'us', statistics.median(times['brig']), tail['brig'], 'direct',
        statistics.median(times['direct']),
        added_p50=round(statistics.median(times['brig']) -
                        statistics.median(times['direct']), 1),
        added_p99=round(tail['brig'] - tail['direct'], 1))


def private(path):
    """KiB of front and back of the one job that is running."""
    with open(path) as f:
        pids = [p['pid'] for p in json.load(f)['processes']
                if p['role'] in ('front', 'back')]
    print(sum(memory(pid)[0] for pid in pids))


def grown(name, before, after):
    with open(before) as b, open(after) as a:
        first, last = int(b.read()), int(a.read())
    out(name, 'KiB', last - first, None, 'before', first)


def memory(pid):
    """Private and proportional KiB of a process."""
    private = pss = 0
    with open(f'/proc/{pid}/smaps_rollup') as f:
        for line in f:
            if line.startswith(('Private_Clean', 'Private_Dirty', 'Swap:')):
                private += int(line.split()[1])
            elif line.startswith('Pss:'):
                pss += int(line.split()[1])
    return private, pss


def rss(path):
    total, roles = 0, []
    with open(path) as f:
        processes = json.load(f)['processes']
    for p in processes:
        if p['role'] not in ('front', 'back'):
            continue
        roles.append(p['role'])
        total += memory(p['pid'])[0]
    if sorted(roles) != ['back', 'front']:
        sys.exit(f'rss_front_back: not one pair but {roles}')
    out('rss_front_back', 'MiB', total / 1024)


def idle(path, brigd):
    """Of each job: shim, front, back, pid 1 of the jail and what it runs."""
    parents, uids = {}, {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat') as f:
                parents[int(pid)] = int(f.read().rpartition(')')[2].split()[1])
            uids[int(pid)] = os.stat(f'/proc/{pid}').st_uid
        except OSError:
            pass

    def ours(pid):
        while pid > 1 and pid != int(brigd):
            pid = parents.get(pid, 0)
        return pid > 1
    jobs, own, known = {}, 0, set()
    with open(path) as f:
        processes = json.load(f)['processes']
    for p in processes:
        known.add(p['pid'])
        if p.get('job'):
            jobs.setdefault(p['job'], []).append(p['pid'])
        else:
            own += memory(p['pid'])[0]
    # A jail's processes have the uid of its job, and no other has.
    jails = {}
    for pid in parents:
        if pid not in known and ours(pid):
            jails.setdefault(uids[pid], []).append(pid)
    if len(jobs) != 200 or len(jails) != 200 or any(
            len(pids) != 3 for pids in jobs.values()) or any(
            len(pids) != 2 for pids in jails.values()):
        sys.exit(f'jobs_idle_200: {len(jobs)} jobs, {len(jails)} jails, or '
                 'not five processes each')
    total = [memory(pid) for pids in [*jobs.values(), *jails.values()]
             for pid in pids]
    out('jobs_idle_200', 'MiB', sum(m[0] for m in total) / 200 / 1024,
        pss=round(sum(m[1] for m in total) / 200 / 1024, 2),
        brigd=round(own / 1024, 2))


{'spawn': spawn, 'pairs': pairs, 'load': load, 'added': added,
 'h2load': h2load, 'events': events, 'private': private, 'grown': grown,
 'rss': rss, 'idle': idle}[sys.argv[1]](*sys.argv[2:])
