"""Turn what the benchmarks measured into one JSON object a line.

  figures.py spawn NAME PEER FILE     lines of brig-spawn: brig, peer and,
                                      if there is a third, no jail at all
  figures.py load NAME UNIT PREFIX    PREFIX.{brig,squid,direct} of brig-load
  figures.py rss STATUS               private memory of front and back
"""
import json
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


def load(name, unit, prefix):
    """Medians over the rounds, of rates and of each round's p99 latency."""
    rates, tails = {}, {}
    for who in ('brig', 'squid', 'direct'):
        rate, tail = [], []
        with open(f'{prefix}.{who}') as f:
            for line in f:
                ok, errors, secs, _, p99, size = map(float, line.split())
                if ok == 0 or errors:
                    sys.exit(f'{name}: {who}: {errors:.0f} errors')
                rate.append(size / secs / 1e6 if unit == 'MB/s'
                            else ok / secs)
                tail.append(p99 / 1000)
        if not rate:
            sys.exit(f'{name}: {who}: no measurement')
        rates[who] = statistics.median(rate)
        tails[who] = statistics.median(tail)
    out(name, unit, rates['brig'], None, 'squid', rates['squid'],
        direct=round(rates['direct'], 2),
        latency_p99_ms=round(tails['brig'], 3),
        peer_latency_p99_ms=round(tails['squid'], 3))


def rss(path):
    total, roles = 0, []
    with open(path) as f:
        processes = json.load(f)['processes']
    for p in processes:
        if p['role'] not in ('front', 'back'):
            continue
        roles.append(p['role'])
        with open(f'/proc/{p["pid"]}/smaps_rollup') as f:
            for line in f:
                if line.startswith(('Private_Clean', 'Private_Dirty',
                                    'Swap:')):
                    total += int(line.split()[1])
    if sorted(roles) != ['back', 'front']:
        sys.exit(f'rss_front_back: not one pair but {roles}')
    out('rss_front_back', 'MiB', total / 1024)


{'spawn': spawn, 'load': load, 'rss': rss}[sys.argv[1]](*sys.argv[2:])
