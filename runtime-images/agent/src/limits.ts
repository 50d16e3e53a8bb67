/** Every size and time that bounds the agent, in one place. Milliseconds and bytes unless the name says otherwise. */

/** Largest response or error a runtime may post: 6 MiB and 100 bytes (the emulator's `MaxPayloadSize`). */
export const MAX_RESPONSE_BYTES = 6_291_556;

/** Largest header block of the Runtime API: AWS's clients send an X-Ray cause of up to 1 MiB in one header. */
export const MAX_REQUEST_HEADER_BYTES = 2 * 1024 * 1024;

/** Connections of the runtime that are served at once. AWS's clients keep one or two; a function that opens more takes none of the agent's. */
export const MAX_RUNTIME_CONNECTIONS = 64;

/** Lambda's limit of the init phase on demand; with provisioned concurrency it is the longest time-out (guide, "Lambda runtime environment"). */
export const INIT_LIMIT_MS = { "on-demand": 10_000, "provisioned-concurrency": 900_000 } as const;

/**
 * How long an environment stays awake after its runtime asked for the next event. Back-to-back events then cost no stop and no
 * continue (about 0.1 ms of scheduling each), and background work of the function gets no more than this for nothing.
 */
export const FREEZE_DELAY_MS = 5;

/** Open files of each process of a function (guide, "Lambda quotas"). */
export const MAX_OPEN_FILES = 1_024;

/**
 * Niceness of everything of a function, the highest there is (setpriority(2)): a thousand processes that spin leave the agent its
 * time. It counts within the pod only; pods compete by their shares.
 */
export const FUNCTION_NICENESS = 19;

/** Looks for killed processes that have not ended yet before a runtime is started nevertheless, and the pause between them. */
export const LEFTOVERS = { looks: 50, pauseMs: 10 } as const;

/** Attempts to start a runtime while the processes of the former one hold what a new one needs, and the pause between them. */
export const SPAWN_RETRY = { attempts: 50, pauseMs: 100 } as const;

/** Starts of a zygote that ends by itself, and the pause between them. */
export const ZYGOTE_RETRY = { starts: 3, pauseMs: 1_000 } as const;

/** How often a pooled agent takes the way of an assignment and an event with made-up ones: the third time is no faster than the second. */
export const REHEARSALS = 2;

/** How long what a runtime had already sent before it exited may take to arrive on loopback. */
export const SETTLE_MS = 250;

/** Payload and answer together from which an event's memory is given back at once. */
export const LARGE_EVENT_BYTES = 1024 * 1024;

/** The tail of the log that `LogType=Tail` returns (API reference, Invoke). */
export const LOG_TAIL_BYTES = 4096;

/** A longer line is split, so that output without a newline takes no more memory than this. CloudWatch's limit of one event. */
export const MAX_LINE_BYTES = 256 * 1024;

/** Output of a function beyond this is dropped and counted: one function must not fill the log volume of its node. */
export const LOG_BYTES_PER_SECOND = 2 * 1024 * 1024;
export const LOG_BURST_BYTES = 8 * 1024 * 1024;

/** How often it is said at most, amid a function's lines, that some were dropped. */
export const DROPPED_NOTE_MS = 1_000;

/** Lines of log may wait this long for others to be written together with; a short event's are one write. */
export const LOG_FLUSH_MS = 10;

/** Log that the container's runtime has not taken yet. Beyond this, lines are dropped: the agent neither blocks nor grows. */
export const LOG_BACKLOG_BYTES = 2 * 1024 * 1024;

/** Room beyond that for the platform's own lines: an event has its REPORT however much the function wrote before it. */
export const LOG_RESERVE_BYTES = 64 * 1024;

/** Most bytes taken out of the output pipe at once when an event ends; a function that never stops printing must not hold up its answer. */
export const DRAIN_BYTES = 1024 * 1024;

/** The kernel keeps a process's peak, so one look serves all events within this time. */
export const MEMORY_PEAK_MS = 100;

/** How often the memory of a runtime that starts is looked at: it may end at any time, and its peak with it. */
export const START_SAMPLE_MS = 10;

/** How often the memory of the whole process tree is looked at while an event runs. */
export const MEMORY_SAMPLE_MS = 500;

/** How often it is compared with the function's limit where the container's own limit is a higher one. */
export const MEMORY_GUARD_MS = 100;

/** Most gateways that an agent dials of those it finds by name; a gateway that has accepted it tells which ones to keep to. */
export const MAX_GATEWAYS = 3;
/** Most that it is told of. */
export const MAX_MEMBERS = 32;

export const PING_INTERVAL_MS = 2_000;
/** A connection on which nothing was heard for this long is dead. */
export const PONG_LIMIT_MS = 5_000;
export const HANDSHAKE_LIMIT_MS = 5_000;

/** Pause before a gateway is dialled again: doubled each time, between half and all of it, so that agents spread out. */
export const REDIAL = { firstMs: 100, maxMs: 5_000 } as const;
/** Pause after a refusal that waiting alone does not cure (token, protocol version). */
export const REFUSED_REDIAL = { firstMs: 15_000, maxMs: 60_000 } as const;

/** How long gateways may take to confirm the last frames of an agent that ends. */
export const GOODBYE_LIMIT_MS = 1_000;

/** How long the container's runtime may take to accept the last lines of log. */
export const LAST_LINES_LIMIT_MS = 1_000;

/** An agent without any gateway for this long, and without an event, exits: nobody will ever use or remove it. */
export const WITHOUT_GATEWAY_MS = 600_000;

/** The other gateways hear that an environment is busy only if it stays so for this long: short events cost no extra frames. */
export const STATE_CHANGE_DELAY_MS = 100;

/** Attempts to download a package, the pause between them, and how long a gateway may send nothing. */
export const DOWNLOAD = { attempts: 4, pauseMs: 250, idleMs: 10_000 } as const;

/** Files up to this size are unpacked in memory, others streamed. */
export const UNPACK_IN_MEMORY_BYTES = 1024 * 1024;
/** Unpacking gives the event loop a turn at least this often. */
export const UNPACK_SLICE_MS = 10;
