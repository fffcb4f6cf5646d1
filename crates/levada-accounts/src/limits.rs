//! Every bound and lifetime of the accounts, each with its reason.

use std::time::Duration;

/// How long an access token and an id token are good for (contract realtime §3.2).
pub const ACCESS_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How long a refresh token is good for (contract realtime §3.2).
pub const REFRESH_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// Access tokens that one refresh token may fetch (contract realtime §3.2): the 91st is refused.
pub const REFRESHES_MAX: u32 = 90;

/// Sessions of one user at a time. A script that logs in every five minutes reaches it in three and
/// a half days, when the access tokens of its first sessions are long dead; the oldest session ends.
pub const SESSIONS_PER_USER_MAX: usize = 1000;

/// How long the answer to a login that asks for a new password stays usable.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How long a code that resets a password stays usable.
pub const RESET_CODE_LIFETIME: Duration = Duration::from_secs(3600);

/// Largest request body that the routes read. The longest legal form is a few kilobytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Longest credential that is looked at. An access token with 64 groups stays below.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Verified credentials that are remembered; at about 1.5 KB each, 12 MB when full.
pub const CREDENTIALS_CACHED_MAX: usize = 8192;

/// How long a process may go on without asking a shared database whether accounts have changed: the
/// longest time for which a token lives on in one process after its session ended in another. With
/// the embedded database the bound is zero.
pub const SHARED_FRESHNESS: Duration = Duration::from_secs(1);

/// How long a new signing key waits in a shared database before it signs, so that every process
/// knows it before it meets its first token: several times [`SHARED_FRESHNESS`].
pub const SIGNING_KEY_LEAD: Duration = Duration::from_secs(5);

/// Age at which [`Accounts::maintain`](crate::Accounts::maintain) replaces the signing key.
pub const SIGNING_KEY_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// Signing keys kept at a time. Each rotation adds one and the overlap is a day, so more means that
/// something rotates in a loop.
pub const SIGNING_KEYS_MAX: usize = 16;

/// Size of signing keys in bits: the strength of TLS certificates today.
pub const SIGNING_KEY_BITS: usize = 2048;

/// Difference between the clocks of two processes that a token's start time may show.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Password hashes computed at a time: each takes 19 MiB and one core for tens of milliseconds.
pub const HASHES_AT_ONCE_MAX: usize = 4;

/// Requests that may wait for a password hash; more are turned away with 503 and `Retry-After`. At
/// the rate of one core the last of them waits about three seconds.
pub const HASHES_WAITING_MAX: usize = 64;

/// Characters of a user name, a password and most other texts of the routes (contract §3.1).
pub const TEXT_CHARS_MAX: usize = 255;

/// Shortest password that is accepted as a new one (contract §3.1, `/v1/create-user`).
pub const PASSWORD_CHARS_MIN: usize = 8;

/// Characters of the name of a group or an API key.
pub const NAME_CHARS_MAX: usize = 64;

/// Groups of one user: all of them stand in each of the user's tokens.
pub const GROUPS_PER_USER_MAX: usize = 64;

/// Scopes of one group or API key; each request is held against them one by one.
pub const SCOPES_MAX: usize = 256;

/// Characters of one scope; longer than any path with room to spare.
pub const SCOPE_CHARS_MAX: usize = 512;

/// Groups in all: every process holds them in memory.
pub const GROUPS_MAX: usize = 1000;

/// Times of use of API keys that are held back until the next maintenance.
pub const KEY_USES_PENDING_MAX: usize = 10_000;

/// How long an expired API key is still listed, so that whoever looks for the reason finds it.
pub const EXPIRED_KEYS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long the last use of an API key is remembered: longer than a key that is used once a year.
pub const KEY_USES_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);

/// Address ranges of the allow list; each request without a token is held against them in turn.
pub const ADDRESS_RANGES_MAX: usize = 1000;

/// Wrong passwords of one user that cost no waiting time.
pub const FREE_FAILURES_PER_USER: u32 = 5;

/// Wrong passwords from one address that cost no waiting time: many people share an address.
pub const FREE_FAILURES_PER_ADDRESS: u32 = 50;

/// First waiting time; each further failure doubles it.
pub const LOCKOUT_FIRST: Duration = Duration::from_secs(1);

/// Longest waiting time: it leaves an attacker 100 guesses a day, and a user that someone else
/// locked out waits no longer than this.
pub const LOCKOUT_MAX: Duration = Duration::from_secs(15 * 60);

/// Failures are forgotten when this long passed without another.
pub const FAILURES_FORGOTTEN_AFTER: Duration = Duration::from_secs(6 * 3600);

/// Password checks of one user in flight at a time, so that a burst cannot outrun the counting. Ten
/// parallel connections that log in at once stay below. Once the free failures are used up it is one.
pub const ATTEMPTS_IN_FLIGHT_MAX: u32 = 16;

/// Users whose failures are remembered, again as many names that nobody has, as many addresses, and as
/// many addresses that users are known to log in from: about 8 MB when all are full.
pub const FAILURES_REMEMBERED_MAX: usize = 20_000;

/// How long an address counts as one that a user is known to log in from.
pub const KNOWN_ADDRESS_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Password-reset codes that may be asked for in a row without waiting, per user.
pub const FREE_RESETS_PER_USER: u32 = 3;

/// Largest record of the store in bytes; a user with every list full stays below.
pub const RECORD_BYTES_MAX: usize = 512 * 1024;

/// Records that one call to the store lists.
pub const LIST_MAX: usize = 1000;

/// Changes that are written together at most.
pub const CHANGES_MAX: usize = 256;

/// Times that a change is tried again when another writer was faster. Every failed try means that
/// the other one succeeded, and the most contended record (a refresh token) takes
/// [`REFRESHES_MAX`] changes in its life.
pub const CONFLICTS_MAX: u32 = 100;

/// Expired records removed in one transaction.
pub const PURGE_BATCH: usize = 1000;

/// Transactions of one purge; what is left waits for the next.
pub const PURGE_BATCHES_MAX: usize = 100;

/// Files in the outbox at a time; further notices are refused until some expired.
pub const OUTBOX_FILES_MAX: usize = 1000;

/// Connections that one process keeps to PostgreSQL: each statement takes about a millisecond, and
/// password hashing limits logins long before.
pub const POSTGRES_CONNECTIONS_MAX: usize = 8;

/// Longest wait for PostgreSQL: a connection, a free place, or one answer.
pub const POSTGRES_TIMEOUT: Duration = Duration::from_secs(10);

/// Memory for pages of the embedded database.
pub const EMBEDDED_CACHE_BYTES: usize = 16 * 1024 * 1024;
