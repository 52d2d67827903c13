// Package storage is a storage node: files on device directories, served over HTTP
// and a side channel as trackers, clients and nodes of MogileFS expect it
// (docs/spec/storage-node.md).
//
// A PUT of /dev1/0/000/000/0000000001.fid arrives at [Node.ServeHTTP], which splits
// the path into a device and a name on it. put.go opens a temporary on the device
// (package disk), streams the body into it, hashed when the request names an MD5,
// and commits: 201 says that the bytes are on disk. A GET opens the file, decides
// conditions and ranges from the headers (condition.go, range.go), and hands the
// open file to the connection, so that the kernel copies it. Beside that a Node
// writes each device's usage file, removes what a crash left, and answers on its
// management port (package sidechannel).
//
// It listens nowhere, knows no tracker and no key, makes no copies, and lets
// everybody in: who may connect is decided before it.
package storage
