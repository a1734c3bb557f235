//! Log lines between the threads that log and standard output: gathered by thread, written together by the flusher, a
//! thread of their own. Knows nothing of what a line holds.
//!
//! A line costs its thread a copy, and wakes the flusher at most once an interval. Lines of one thread keep their order.
//! Nothing is dropped: past a limit the thread that logs writes its lines itself, at the pace of the reader.

use std::cell::Cell;
use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// Maximum time that a line is buffered.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_millis(50);

/// Bytes of one thread that wake the flusher before the interval is over.
const FLUSH_SIZE: usize = 64 * 1024;

/// Maximum bytes buffered for one thread; beyond them the thread itself waits for a slow reader.
const MAX_BUFFERED: usize = 256 * 1024;

/// Buffers. A thread keeps to one; threads beyond this number share.
const SHARDS: usize = 16;

/// Maximum wait for a reader at the end of the process.
const PARTING: Duration = Duration::from_secs(2);

/// Deadline of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Within [`FLUSH_INTERVAL`].
    Gathered,
    /// At once.
    Urgent,
}

/// States of the flusher, in ascending order of urgency.
mod signal {
    /// Nothing is buffered.
    pub(super) const IDLE: u8 = 0;
    /// Lines are buffered, and the interval runs.
    pub(super) const PENDING: u8 = 1;
    /// Lines must be written now.
    pub(super) const URGENT: u8 = 2;
    /// The flusher has ended, or will after one last look: whoever logs writes.
    pub(super) const ENDED: u8 = 3;
}

/// The buffers of one output.
pub(super) struct LineBuffers {
    shards: [Mutex<Vec<u8>>; SHARDS],
    output: Mutex<Box<dyn Write + Send>>,
    signal: AtomicU8,
    flusher: OnceLock<Thread>,
}

/// Ends the flusher when it is dropped, after everything that is buffered is written.
#[must_use = "lines that wait are written when this is dropped"]
pub struct FlushGuard {
    buffers: Arc<LineBuffers>,
    ended: Receiver<()>,
}

impl LineBuffers {
    /// Buffers in front of `output`, flushed each `interval` in which a line came.
    pub(super) fn start(output: Box<dyn Write + Send>, interval: Duration) -> (Arc<Self>, FlushGuard) {
        let buffers = Arc::new(Self {
            shards: Default::default(),
            output: Mutex::new(output),
            signal: AtomicU8::new(signal::IDLE),
            flusher: OnceLock::new(),
        });
        let (end, ended) = mpsc::channel::<()>();
        let flushed = Arc::clone(&buffers);
        let flusher = thread::Builder::new().name("log".to_owned()).spawn(move || {
            let _dropped_at_the_end = end;
            flushed.flush_until_ended(interval);
        });
        match flusher {
            Ok(flusher) => buffers.flusher.set(flusher.thread().clone()).expect("set nowhere else"),
            Err(_) => buffers.signal.store(signal::ENDED, Ordering::Release), // no thread: every line is written at once
        }
        (Arc::clone(&buffers), FlushGuard { buffers, ended })
    }

    /// Appends the line that `write` produces.
    pub(super) fn append(&self, urgency: Urgency, write: impl FnOnce(&mut Vec<u8>)) {
        let shard = &self.shards[own_shard()];
        let size = {
            let mut lines = lock(shard);
            write(&mut lines);
            lines.len()
        };
        let signal = match urgency {
            Urgency::Gathered if size < FLUSH_SIZE => signal::PENDING,
            Urgency::Gathered | Urgency::Urgent => signal::URGENT,
        };
        // Read behind the lock: after the flusher emptied the shard this sees IDLE, or what came after it.
        let seen = self.raise(signal);
        if size >= MAX_BUFFERED || seen == signal::ENDED {
            self.flush(shard);
        }
    }

    /// Raises the flusher's signal unless it is as high already. Returns the previous one.
    fn raise(&self, signal: u8) -> u8 {
        let seen = self.signal.load(Ordering::Acquire);
        if seen >= signal {
            return seen;
        }
        let seen = self.signal.fetch_max(signal, Ordering::AcqRel);
        if seen < signal
            && let Some(flusher) = self.flusher.get()
        {
            flusher.unpark();
        }
        seen
    }

    fn flush_until_ended(&self, interval: Duration) {
        let seen = || self.signal.load(Ordering::Acquire);
        loop {
            while seen() < signal::PENDING {
                thread::park();
            }
            let begun = Instant::now();
            while seen() < signal::URGENT
                && let Some(left) = interval.checked_sub(begun.elapsed())
            {
                thread::park_timeout(left);
            }
            // Before the buffers are emptied: a line that comes later raises it again.
            let is_ended = self
                .signal
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |seen| {
                    (seen != signal::ENDED).then_some(signal::IDLE)
                })
                .is_err();
            self.shards.iter().for_each(|shard| self.flush(shard));
            if is_ended {
                return;
            }
        }
    }

    /// Writes the lines of one shard. The output is locked before they are taken, so nobody overtakes them.
    fn flush(&self, shard: &Mutex<Vec<u8>>) {
        let mut output = lock(&self.output);
        let lines = mem::take(&mut *lock(shard));
        if !lines.is_empty() {
            // Best effort: nobody is left to tell that the log cannot be written.
            let _ = output.write_all(&lines).and_then(|()| output.flush());
        }
    }
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        self.buffers.raise(signal::ENDED);
        let _ = self.ended.recv_timeout(PARTING); // fails once the flusher drops its end; nothing is ever sent
    }
}

/// Locks a shard. A panic during a write leaves part of a line, and no reason to lose the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shard of this thread, assigned when it logs for the first time.
fn own_shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static SHARD: Cell<usize> = const { Cell::new(usize::MAX) });
    let shard = SHARD.get();
    if shard < SHARDS {
        return shard;
    }
    let shard = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
    SHARD.set(shard);
    shard
}

/// Writer for the tracing library. Lines that people act on, from `info` on, are urgent; requests' are not.
pub(super) struct LineWriter(pub(super) Arc<LineBuffers>);

/// Collects one line.
pub(super) struct Line<'a> {
    buffers: &'a LineBuffers,
    urgency: Urgency,
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { buffers: &self.0, urgency: Urgency::Urgent }
    }

    fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> Line<'a> {
        let is_urgent = *metadata.level() <= tracing::Level::INFO && metadata.target() != "request";
        Line { buffers: &self.0, urgency: if is_urgent { Urgency::Urgent } else { Urgency::Gathered } }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.buffers.append(self.urgency, |lines| lines.extend_from_slice(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, SyncSender};

    use super::*;

    /// No test waits for an interval.
    const NEVER: Duration = Duration::MAX;

    /// Hands every write to the test, which takes it when it likes.
    struct Reader(SyncSender<Vec<u8>>);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(interval: Duration) -> (Arc<LineBuffers>, FlushGuard, Receiver<Vec<u8>>) {
        let (writes, reader) = mpsc::sync_channel(1_000);
        let (buffers, guard) = LineBuffers::start(Box::new(Reader(writes)), interval);
        (buffers, guard, reader)
    }

    fn log(buffers: &LineBuffers, urgency: Urgency, line: &str) {
        buffers.append(urgency, |lines| lines.extend_from_slice(line.as_bytes()));
    }

    fn everything(reader: &Receiver<Vec<u8>>) -> String {
        String::from_utf8(reader.try_iter().flatten().collect()).unwrap()
    }

    #[test]
    fn lines_are_written_together_when_the_interval_is_over() {
        let (buffers, _guard, reader) = start(Duration::from_millis(1));

        log(&buffers, Urgency::Gathered, "one\n");

        assert_eq!(reader.recv().unwrap(), b"one\n");
        log(&buffers, Urgency::Gathered, "two\n");
        assert_eq!(reader.recv().unwrap(), b"two\n", "the flusher was idle meanwhile");
    }

    #[test]
    fn an_urgent_line_takes_those_before_it_along() {
        let (buffers, _guard, reader) = start(NEVER);
        log(&buffers, Urgency::Gathered, "one\n");

        log(&buffers, Urgency::Urgent, "two\n");

        let mut written = reader.recv().unwrap();
        if written == b"one\n" {
            written.extend(reader.recv().unwrap());
        }
        assert_eq!(written, b"one\ntwo\n");
    }

    #[test]
    fn a_thread_that_logs_much_is_written_before_the_interval_is_over() {
        let (buffers, _guard, reader) = start(NEVER);

        log(&buffers, Urgency::Gathered, &"a".repeat(FLUSH_SIZE));

        assert_eq!(reader.recv().unwrap().len(), FLUSH_SIZE);
    }

    #[test]
    fn what_waits_is_written_at_the_end_also_of_threads_that_are_gone() {
        let (buffers, guard, reader) = start(NEVER);
        log(&buffers, Urgency::Gathered, "one\n");
        let other = Arc::clone(&buffers);
        let panicked = thread::spawn(move || {
            log(&other, Urgency::Gathered, "two\n");
            panic!("a test");
        });
        assert!(panicked.join().is_err());

        drop(guard);

        let written = everything(&reader);
        assert!(written.contains("one\n") && written.contains("two\n"), "{written}");
    }

    #[test]
    fn a_panic_that_unwinds_past_the_guard_loses_nothing() {
        let (buffers, guard, reader) = start(NEVER);

        let panicked = thread::spawn(move || {
            let _guard = guard;
            log(&buffers, Urgency::Gathered, "one\n");
            panic!("a test");
        });

        assert!(panicked.join().is_err());
        assert_eq!(everything(&reader), "one\n");
    }

    #[test]
    fn a_panic_within_a_line_leaves_the_other_lines() {
        let (buffers, guard, reader) = start(NEVER);
        log(&buffers, Urgency::Gathered, "one\n");
        let within = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            buffers.append(Urgency::Gathered, |_| panic!("a test"));
        }));

        log(&buffers, Urgency::Gathered, "two\n");
        drop(guard);

        assert!(within.is_err());
        assert_eq!(everything(&reader), "one\ntwo\n");
    }

    #[test]
    fn a_line_after_the_end_is_written_at_once() {
        let (buffers, guard, reader) = start(NEVER);
        drop(guard);

        log(&buffers, Urgency::Gathered, "late\n");

        assert_eq!(everything(&reader), "late\n");
    }

    #[test]
    fn every_thread_keeps_its_order_and_loses_nothing() {
        const THREADS: usize = 2 * SHARDS;
        const LINES: usize = 2_000;
        let (buffers, guard, reader) = start(Duration::from_millis(1));
        let reading = thread::spawn(move || String::from_utf8(reader.iter().flatten().collect()).unwrap());
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let buffers = &buffers;
                scope.spawn(move || {
                    for line in 0..LINES {
                        let urgency = if line % 500 == 0 { Urgency::Urgent } else { Urgency::Gathered };
                        log(buffers, urgency, &format!("{thread} {line} {}\n", "x".repeat(200)));
                    }
                });
            }
        });
        drop(guard);
        drop(buffers); // and with it the output

        let written = reading.join().unwrap();
        let mut next = [0; THREADS];
        for line in written.lines() {
            let mut words = line.split(' ').map(|word| word.parse::<usize>().ok());
            let (thread, number) = (words.next().flatten().unwrap(), words.next().flatten().unwrap());
            assert_eq!(number, next[thread], "thread {thread}");
            next[thread] += 1;
        }
        assert_eq!(next, [LINES; THREADS]);
    }

    #[test]
    fn a_reader_that_does_not_read_holds_up_who_logs_and_loses_nothing() {
        let (writes, reader) = mpsc::sync_channel(0); // each write waits until the test takes it
        let (buffers, guard) = LineBuffers::start(Box::new(Reader(writes)), NEVER);
        let (done, is_done): (Sender<()>, _) = mpsc::channel();
        let logging = thread::spawn(move || {
            for _ in 0..4 {
                log(&buffers, Urgency::Gathered, &"a".repeat(MAX_BUFFERED / 2));
            }
            drop(done);
            drop(guard);
        });

        // The flusher holds half of it at most, and as much is buffered: the third or the fourth waits.
        assert_eq!(is_done.try_recv(), Err(mpsc::TryRecvError::Empty));
        let total: usize = reader.iter().map(|write| write.len()).sum();

        logging.join().unwrap();
        assert_eq!(total, 2 * MAX_BUFFERED);
    }
}
