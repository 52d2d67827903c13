// Command bare serves the files below a directory with nothing but the standard
// library, for tests/bench to compare with. Its arguments are the directory and the
// address to listen on.
package main

import (
	"fmt"
	"net/http"
	"os"
	"path"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: bare <directory> <address>")
		os.Exit(2)
	}
	err := http.ListenAndServe(os.Args[2], files(os.Args[1]))
	fmt.Fprintln(os.Stderr, "bare:", err)
	os.Exit(1)
}

// files is the directory whose files are served.
type files string

// ServeHTTP does the least that opens a file and knows ranges and conditions.
func (dir files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, err := os.Open(string(dir) + path.Clean(r.URL.Path))
	if err != nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream") // else it is guessed from the bytes
	http.ServeContent(w, r, "", info.ModTime(), f)
}
