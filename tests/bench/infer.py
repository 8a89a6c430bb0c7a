"""make bench-infer: the local engine beside llama.cpp, in turn, in the same run.

Prints one JSON object a line: name, unit, median, best, peer, peer_median,
peer_best, ratio (of the medians; for rates higher is better), bar (what the
ratio, or the median where there is no peer, is to reach) and met.

  make bench-infer               everything
  make bench-infer BENCH=NAME    bandwidth | decode | busy | prefill | memory
                                 | load | prefix

In the environment: BENCH_ROUNDS (5), BENCH_MODEL (a GGUF file; else one is
made, 4.6 GB), BENCH_PEER (a llama-bench; "none": without one).

Times of a machine that does something else mislead, even of runs in turn: what
other processes and other guests took while something ran is said as `foreign`,
the share of the processors' time, with a warning from 3 % on.
"""
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.environ['BRIG_BUILDDIR']
HERE = os.path.join(BUILD, 'tests', 'bench')
INFERD = os.path.join(BUILD, 'inferd', 'inferd')
ROUNDS = int(os.environ.get('BENCH_ROUNDS', '5'))
THREADS = (1, 2)
# Of one start: in the first, pages of the model are mapped.
PASSES = 3
PROMPT, TOKENS, PREFIX = 512, 64, 4000
CALM = 0.03
BARS = {'decode_t1': 1.25, 'decode_t2': 1.45, 'decode_busy': 2.0,
        'prefill_pp512': 2.6}


def die(text):
    sys.exit(f'bench-infer: {text}')


def out(name, unit, values, peer=None, peers=(), bar=None, met=None, **more):
    best = min if unit in ('s', 'MiB') else max
    line = dict(name=name, unit=unit, median=round(statistics.median(values), 3),
                best=round(best(values), 3))
    if peers:
        line.update(peer=peer, peer_median=round(statistics.median(peers), 3),
                    peer_best=round(best(peers), 3),
                    ratio=round(statistics.median(values) /
                                statistics.median(peers), 3))
        if bar is not None:
            met = line['ratio'] >= bar and met is not False
    if bar is not None:
        line['bar'] = bar
    if met is not None:
        line['met'] = met
    line.update(more)
    print(json.dumps(line), flush=True)


class Foreign:
    """What others took of the processors while ours ran."""

    def __init__(self):
        self.all = self.theirs = 0

    @staticmethod
    def stat():
        with open('/proc/stat') as f:
            n = [int(x) for x in f.readline().split()[1:9]]
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        ticks = os.sysconf('SC_CLK_TCK')
        return (sum(n), sum(n) - n[3] - n[4],
                (own.ru_utime + own.ru_stime) * ticks)

    def __enter__(self):
        self.before = self.stat()
        return self

    def __exit__(self, *_):
        total, busy, own = (b - a for a, b in zip(self.before, self.stat()))
        self.all += total
        self.theirs += max(0, busy - own)

    def share(self):
        return round(self.theirs / self.all, 3) if self.all else 0.0


def run(args, said=subprocess.DEVNULL):
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=said)
    if p.returncode != 0:
        die(f'{" ".join(args)}: status {p.returncode}')
    return [json.loads(line) for line in p.stdout.splitlines()
            if line.startswith(b'{')]


def inferd(threads, prompt, tokens, passes=PASSES):
    """Rate, the median of the passes, and all that it says by name."""
    said = {o['name']: o for o in run(
        [INFERD, '-m', MODEL, '-t', str(threads), '--json',
         f'--bench={prompt},{tokens},{passes}'], None)}
    name = f'prefill_pp{prompt}' if prompt else f'decode_tg{tokens}'
    return said[name]['tokens_per_second'], said


def llama(threads, prompt, tokens):
    (said,) = run([PEER, '-m', MODEL, '-t', str(threads), '-p', str(prompt),
                   '-n', str(tokens), '-r', str(PASSES), '-o', 'jsonl'])
    return statistics.median(said['samples_ts'])


def warm():
    """Have the model in the page cache."""
    with open(MODEL, 'rb', buffering=0) as f:
        while f.read(16 << 20):
            pass


class Busy:
    """An endless loop beside what is measured, and its time as ours."""

    def __enter__(self):
        self.pid = os.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            while True:
                pass
        time.sleep(0.1)
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def bandwidth(threads):
    # Some guests read 512 MiB again and again half as fast again as more.
    mib = min(2048, os.stat(MODEL).st_size >> 20)
    (said,) = run([os.path.join(HERE, 'bandwidth'), '-t', str(threads),
                   '-m', str(mib), '-r', '3', MODEL])
    return said['best']


def compare(name, threads, prompt, tokens, busy=False):
    """Samples of both in turn, who begins changes; and of the bandwidth."""
    rates = {'inferd': [], 'peer': [], 'alone': [], 'bandwidth': []}
    foreign = Foreign()

    def sample(who):
        # The loop ends within, so that its time is known as ours.
        with foreign:
            if busy:
                with Busy():
                    rates[who].append(once(who))
            else:
                rates[who].append(once(who))

    def once(who):
        if who == 'peer':
            return llama(threads, prompt, tokens)
        return inferd(threads, prompt, tokens)[0]

    for i in range(ROUNDS):
        order = ['inferd', 'peer'] if PEER else ['inferd']
        for who in order if i % 2 == 0 else order[::-1]:
            sample(who)
        if busy:
            with foreign:
                rates['alone'].append(inferd(1, prompt, tokens)[0])
        elif not prompt:
            rates['bandwidth'].append(bandwidth(threads))
    return rates, foreign.share()


def warn(name, share):
    if share > CALM:
        print(f'bench-infer: {name}: others took {share:.0%} of the '
              'processors; the figure may mislead', file=sys.stderr)


def report(name, threads, prompt, tokens, busy=False):
    rates, share = compare(name, threads, prompt, tokens, busy)
    more, met = {}, None
    if rates['bandwidth']:
        gb = statistics.median(rates['bandwidth'])
        roof = gb * 1e9 / BYTES
        more = dict(bandwidth_gb=round(gb, 2), roofline=round(roof, 1),
                    share=round(statistics.median(rates['inferd']) / roof, 3))
        if PEER:
            more['peer_share'] = round(
                statistics.median(rates['peer']) / roof, 3)
    if rates['alone']:
        own = statistics.median(rates['inferd'])
        alone = statistics.median(rates['alone'])
        met = own >= alone
        more = dict(own_decode_t1=round(alone, 2),
                    of_own_decode_t1=round(own / alone, 3))
    out(name, 't/s', rates['inferd'], 'llama.cpp', rates['peer'],
        bar=BARS.get(name), met=met, threads=threads, foreign=share, **more)
    warn(name, share)


def bandwidths():
    for threads in THREADS:
        foreign = Foreign()
        with foreign:
            gb = [bandwidth(threads) for _ in range(3)]
        out('bandwidth', 'GB/s', gb, threads=threads,
            roofline_tokens=round(statistics.median(gb) * 1e9 / BYTES, 1),
            foreign=foreign.share())


def decode():
    for threads in THREADS:
        report(f'decode_t{threads}', threads, 0, TOKENS)


def decode_busy():
    # with as many threads as are otherwise fastest here
    report('decode_busy', 2, 0, TOKENS, busy=True)


def prefill():
    report('prefill_pp512', 2, PROMPT, 0)


def memory():
    size = os.path.getsize(MODEL) / 2**20
    said = [inferd(2, PROMPT, TOKENS, 1)[1]['memory']['max_resident_kib'] / 1024
            for _ in range(2)]
    most = statistics.median(said)
    out('resident', 'MiB', said, bar=1.08, met=most <= 1.08 * size,
        file_mib=round(size, 1), of_file=round(most / size, 3))


def load():
    warm()
    said = [inferd(1, 0, 1, 1)[1]['load']['seconds'] for _ in range(ROUNDS)]
    out('load_warm', 's', said, bar=0.2,
        met=statistics.median(said) <= 0.2)


class Socket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('inferd.brig')
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Server:
    """inferd as a server, which keeps what it computed in a folder."""

    def __init__(self, folder):
        self.socket = os.path.join(folder, 'socket')
        with open(os.path.join(folder, 'log'), 'ab') as log:
            self.process = subprocess.Popen(
                [INFERD, '-m', MODEL, '--socket', self.socket, '-t', '2',
                 '--context', '8192', '--cache-dir',
                 os.path.join(folder, 'cache')], stderr=log)
        end = time.monotonic() + 60
        while True:
            try:
                self.ask('GET', '/health')
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    with open(log.name) as f:
                        die('inferd does not serve: ' + f.read())
                time.sleep(0.05)

    def ask(self, method, path, body=None):
        c = Socket(self.socket)
        c.request(method, path, body)
        answer = c.getresponse()
        said = answer.read()
        c.close()
        if answer.status != 200:
            die(f'{path}: {answer.status} {said[:200]}')
        return said

    def first_token(self, prompt):
        """Seconds to it, and how many tokens the prompt and its cached
        beginning have."""
        body = json.dumps(dict(prompt=prompt, max_tokens=1))
        begin = time.monotonic()
        said = json.loads(self.ask('POST', '/v1/completions', body))
        usage = said['usage']
        return (time.monotonic() - begin, usage['prompt_tokens'],
                usage['prompt_tokens_details']['cached_tokens'])

    def end(self):
        self.process.terminate()
        self.process.wait()


def words(seed, n):
    """Text that no other seed's begins like."""
    state, text = seed, []
    for _ in range(n):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        text.append('%03d' % (state >> 40 & 511))
    return ' '.join(text)


def prefix():
    """A prompt of 4,000 tokens that was asked before, by first tokens."""
    seconds = {'cold': [], 'hit': [], 'disk': []}
    foreign = Foreign()
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        os.mkdir(os.path.join(folder, 'cache'), 0o700)
        server = Server(folder)
        per_word = server.first_token(words(1, 100))[1] / 100
        for i in range(min(ROUNDS, 3)):
            text = words(i + 2, int(PREFIX / per_word))
            with foreign:
                for how in ('cold', 'hit', 'disk'):
                    if how == 'disk':
                        server.end()
                        server = Server(folder)
                    took, n, cached = server.first_token(text)
                    if (cached < n / 2) != (how == 'cold'):
                        server.end()
                        die(f'prefix_{how}: {cached} of {n} tokens cached')
                    seconds[how].append(took)
                server.end()
            server = Server(folder)
        server.end()
    for how, bar in (('hit', 0.02), ('disk', 0.10)):
        share = (statistics.median(seconds[how]) /
                 statistics.median(seconds['cold']))
        out(f'prefix_{how}', 's', seconds[how], 'cold', seconds['cold'],
            tokens=n, most=bar, met=share <= bar, foreign=foreign.share())
    warn('prefix', foreign.share())


PARTS = {'bandwidth': bandwidths, 'decode': decode, 'busy': decode_busy,
         'prefill': prefill, 'memory': memory, 'load': load,
         'prefix': prefix}


def find_model():
    path = os.environ.get('BENCH_MODEL', os.path.join(HERE, 'bench.gguf'))
    if not os.path.exists(path):
        if 'BENCH_MODEL' in os.environ:
            die(f'no model {path}')
        if shutil.disk_usage(HERE).free < 6 << 30:
            die(f'{HERE}: the model wants 4.6 GB, and some room')
        print(f'bench-infer: writing {path}, 4.6 GB', file=sys.stderr)
        subprocess.run([INFERD + '-mkmodel', '--preset', 'bench', path],
                       check=True, stdout=subprocess.DEVNULL)
    return path


def find_peer():
    path = os.environ.get('BENCH_PEER',
                          os.path.join(HERE, 'llama.cpp', 'llama-bench'))
    if path == 'none':
        return None
    if not os.access(path, os.X_OK):
        die(f'no {path}: make bench-infer-peers, or BENCH_PEER=none')
    return path


def main():
    part = sys.argv[1] if len(sys.argv) > 1 else 'all'
    if part != 'all' and part not in PARTS:
        die(f'no part {part}: {", ".join(PARTS)}')
    global MODEL, PEER, BYTES
    MODEL, PEER = find_model(), find_peer()
    warm()
    said = inferd(1, 0, 1, 1)[1]['decode_tg1']
    BYTES = (said['weights_gb_per_second'] / said['tokens_per_second']) * 1e9
    for name, measure in PARTS.items():
        if part in ('all', name):
            measure()


main()
