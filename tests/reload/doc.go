// Package reload reloads the configuration of a real process again and again while
// clients upload, download and talk to the tracker, and wants none of them to
// notice.
//
// Afterwards the process must be no larger than before: a goroutine or a descriptor
// that stays behind with each reload ends, some weeks later, in a crash.
package reload
