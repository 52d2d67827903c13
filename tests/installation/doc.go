// Package installation is a tracker on SQLite and storage nodes, all real but in the test's
// own process, so that a test of the command line can say how large their disks are and what
// their tables hold.
//
// A test calls [New] with hosts, declares what else there should be with
// [Installation.Declare], and gets the tracker's address. Everything ends with the test.
package installation
