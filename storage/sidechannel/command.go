package sidechannel

import (
	"regexp"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Verb is what a line asks for.
type Verb int

// The verbs. Unknown is any line that is none of the others.
const (
	Unknown Verb = iota
	// Blank is an empty line, or a setting of the reference that means nothing
	// here; both are answered by an empty line.
	Blank
	Size
	Digest
	Watch
	// Traversal is a size or digest of a path with "..".
	Traversal
	// Shutdown is to end the node; to most nodes it is unknown.
	Shutdown
)

// Command is one line, understood.
type Command struct {
	Verb Verb
	// Word is the first word, as written.
	Word string
	// URI is a path such as /dev1/0/000/000/0000000001.fid; for Size and Digest.
	URI string
	// Hash is for Digest.
	Hash mogile.HashType
	// Fsck is set for a digest that must wait its turn on the device.
	Fsck bool
}

// fsckReason is the one reason with an effect; others are create_close and
// replicate.
const fsckReason = "fsck"

var (
	aioThreads = regexp.MustCompile(`(?i)^(server\s+)?aio_threads\s*=\s*\d+$`)
	reason     = regexp.MustCompile(`^\w+$`)
)

// Parse reads a line without its end.
func Parse(line string) Command {
	words := strings.Fields(line)
	if len(words) == 0 {
		return Command{Verb: Blank}
	}
	c := Command{Word: words[0]}
	switch {
	case c.Word == "size" && len(words) == 2:
		c.Verb, c.URI = Size, words[1]
	case c.Word == "MD5" || c.Word == "SHA-1":
		c.parseDigest(words[1:])
	case strings.EqualFold(c.Word, "watch") && len(words) == 1:
		c.Verb = Watch
	case c.Word == "shutdown" && (len(words) == 1 || len(words) == 2 && words[1] == "graceful"):
		c.Verb = Shutdown
	case aioThreads.MatchString(strings.TrimSpace(line)):
		c.Verb = Blank
	}
	if strings.Contains(c.URI, "..") {
		c.Verb = Traversal
	}
	return c
}

func (c *Command) parseDigest(args []string) {
	switch {
	case len(args) == 1:
	case len(args) == 2 && reason.MatchString(args[1]):
		c.Fsck = args[1] == fsckReason
	default:
		return
	}
	c.Verb, c.URI = Digest, args[0]
	c.Hash = mogile.HashMD5
	if c.Word == "SHA-1" {
		c.Hash = mogile.HashSHA1
	}
}
