// Package netdisk has devices on a file system of the network: what works there as on a disk, what
// becomes of the others when its server is cut off or says nothing any more, and that it is
// used again when that is over.
//
// One process is tracker, storage node and edge, with a device on a local disk and two on
// sshfs, each with an SFTP server of the test's own on the loopback (tests/mount). A test
// uploads files, cuts or freezes one server, asks the edge, the node, and its side channel,
// counts threads, lets the server come back, and looks at every file that was acknowledged:
// that it can be read, is whole, and has its copies.
//
// It needs root, FUSE and sshfs; where they are missing nothing is tested, but in continuous
// integration it fails.
package netdisk
