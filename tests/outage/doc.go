// Package outage takes the database away from a real process under load, and gives it
// back: killed and started again, and frozen for half a minute.
//
// The process has all three roles, on a private MariaDB or PostgreSQL. Clients upload
// through the edge and through the tracker, ask the tracker for paths on connections that
// they keep, and read known keys through the edge. While the database is away, the tracker
// may answer ERR or let them wait, but must not hang up, and the edge serves what it knows.
// When it is back, so is the throughput, and everything that was acknowledged is there.
package outage
