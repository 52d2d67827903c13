// Package disktest has disks for tests that do what real ones do on bad days.
//
// [Faults] fails one operation of many, so that a test can fail each in its turn. [Crash]
// knows at any moment what a power failure would leave. Both stand over the operating
// system's files, or over each other.
package disktest
