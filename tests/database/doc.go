// Package database runs private MariaDB and PostgreSQL servers for tests and
// benchmarks: each with its own data directory, socket and loopback port, whatever
// else runs on the machine.
//
// A test calls [MariaDB] and gets the one server of its test process, which the
// first call starts. It takes an empty database with [Server.MustCreate] and opens
// the DSN as users would: over TCP, with a password, as an ordinary user who owns
// that database and nothing else. A test that wants to kill, freeze or configure a
// server starts its own with [OwnMariaDB], or a cluster of two with [OwnGalera]. The
// package's TestMain is [Main], which stops what is shared:
//
//	func TestMain(m *testing.M) { database.Main(m) }
//
// A data directory is copied from a template that is made once per machine and
// server version, so a server is there in less than a second. It never runs as root,
// and dies with the process that started it, also when that is killed.
//
// Tests favour speed: the servers don't sync, unless the options given say so. The
// room knows nothing of MogileFS's tables.
package database
