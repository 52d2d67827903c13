package conformance

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// channel is a connection to the side channel.
type channel struct {
	net.Conn
	in *bufio.Reader
}

func (p *probe) channel() channel {
	p.t.Helper()
	conn, err := net.DialTimeout("tcp", p.management, patience)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	return channel{conn, bufio.NewReader(conn)}
}

// says sends lines at once, and wants one answer to each.
func (p *probe) says(pairs ...string) {
	p.t.Helper()
	c := p.channel()
	var lines strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		lines.WriteString(pairs[i] + "\r\n")
	}
	fmt.Fprint(c, lines.String())
	for i := 0; i < len(pairs); i += 2 {
		got, err := c.in.ReadString('\n')
		if err != nil || got != pairs[i+1]+"\r\n" {
			p.wrong("%q: got %q, %v; want %q", pairs[i], got, err, pairs[i+1])
		}
	}
}

const (
	md5Hello  = "5d41402abc4b2a76b9719d911017c592"
	sha1Hello = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
	unknown   = "ERROR: unknown command: "
)

// digests is a row for a digest.
func digests(alg, hello string) row {
	return row{
		section: "3", item: "`" + alg + " <uri>[ <reason>]`",
		held:  "`<uri> " + alg + "=<hex>`, -1 for a missing file, `ERR read` for a directory; the reason is one word",
		tests: []string{"TestSideChannelAnswersFromTheDisk", "FuzzLine"},
		ask: func(p *probe) {
			path, missing := p.stored("hello"), p.fid()
			answer := path + " " + alg + "=" + hello
			p.says(
				alg+" "+path, answer, alg+" "+path+" fsck", answer, alg+" "+path+" create_close", answer, alg+" "+path+" replicate", answer,
				alg+" "+missing, missing+" "+alg+"=-1",
				alg+" "+p.onDev("9"), "ERR read "+p.onDev("9")+" at 0 failed",
			)
		},
	}
}

var channelRows = []row{
	{
		section: "3", item: "`size <uri>`", held: "`<uri> <bytes>`, -1 for a missing file, what the system says for a directory",
		tests: []string{"TestSideChannelAnswersFromTheDisk", "FuzzLine"},
		ask: func(p *probe) {
			path, empty, missing := p.stored("hello"), p.stored(""), p.fid()
			p.says("size "+path, path+" 5", "size "+empty, empty+" 0", "size "+missing, missing+" -1")
			c := p.channel()
			fmt.Fprintf(c, "size %s\n", p.onDev("9"))
			got, err := c.in.ReadString('\n')
			size, perr := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(got, p.onDev("9"))))
			if err != nil || perr != nil || size < 0 {
				p.wrong("size of a directory: got %q, %v; want a number", got, err)
			}
		},
	},
	digests("MD5", md5Hello),
	digests("SHA-1", sha1Hello),
	{
		section: "3", item: "`watch`", held: "blocks from then on, also for WATCH; `ERR iostat unavailable` where the system tells nothing",
		differs: "cmogstored: lower case only", tests: []string{"TestWatchStreamsUntilThePeerIsGone", "TestWatchWithoutStatisticsIsAnError"},
		ask: func(p *probe) {
			for _, word := range []string{"watch\n", "WATCH\r\n"} {
				c := p.channel()
				fmt.Fprint(c, word)
				p.block(c)
			}
		},
	},
	{section: "3", item: "empty line", held: "an empty line", ask: func(p *probe) { p.says("", "", "", "") }},
	{
		section: "3", item: "`server aio_threads = N` (also `aio_threads=N`, any case)", held: "an empty line, and nothing else: there are no such threads",
		ask: func(p *probe) {
			p.says("server aio_threads = 20", "", "aio_threads=20", "", "SERVER AIO_THREADS = 20", "")
		},
	},
	{
		section: "3", item: "`shutdown` / `shutdown graceful`", held: "unknown; with `allow_shutdown` the end of the process as SIGTERM has it, without an answer",
		differs: "both end at once, for everybody", harmful: true,
		tests: []string{"TestShutdownEndsTheProcessWhereItIsAllowed", "TestShutdownHasNoAnswerWhereItIsAllowed"},
		ask: func(p *probe) {
			p.says("shutdown", unknown+"shutdown", "shutdown graceful", unknown+"shutdown", "", "")
		},
	},
	{
		section: "3", item: "URI containing `..`", held: "`ERROR: uri invalid (contains ..)`; paths that are too long are missing",
		differs: "cmogstored says the same of paths that are too long",
		ask: func(p *probe) {
			const invalid = "ERROR: uri invalid (contains ..)"
			p.says("size /dev1/../x", invalid, "MD5 /..", invalid, "SHA-1 /dev1/..x fsck", invalid)
			long := p.onDev(strings.Repeat("a", 300))
			p.says("size "+long, long+" -1", "MD5 "+long, long+" MD5=-1")
		},
	},
	{
		section: "3", item: "anything else, wrong arity, wrong case (`md5`, `SHA1`, `SHA-256`, `quit`)", held: "`ERROR: unknown command: <first word>`, as it was written",
		differs: "mogstored makes the word small, and cuts it at a hyphen",
		ask: func(p *probe) {
			var pairs []string
			for _, line := range []string{
				"md5 /x", "SHA1 /x", "SHA-256 /x", "quit", "size", "size /a /b", "MD5", "MD5 /a b c", "watch me", "Size /a",
			} {
				word, _, _ := strings.Cut(line, " ")
				pairs = append(pairs, line, unknown+word)
			}
			p.says(pairs...)
		},
	},
	{
		section: "3", item: "Perlbal's own commands", held: "unknown: nobody can reconfigure the node", differs: "mogstored obeys everybody",
		ask: func(p *probe) {
			p.says("version", unknown+"version", "states", unknown+"states", "help", unknown+"help", "SHOW SERVICE", unknown+"SHOW",
				"SET mogstored.listen = 127.0.0.1:1", unknown+"SET")
		},
	},
	{
		section: "3", item: "pipelining", held: "answers in the order of the lines, which end in LF or CRLF", tests: []string{"TestAnswersComeInOrderHoweverLinesEnd", "TestEarlierAnswersDoNotWaitForADigest"},
		ask: func(p *probe) {
			path, c := p.stored("hello"), p.channel()
			fmt.Fprintf(c, "size %s\nMD5 %s\r\n\nsize %s\n", path, path, path)
			for _, want := range []string{path + " 5", path + " MD5=" + md5Hello, "", path + " 5"} {
				if got, err := c.in.ReadString('\n'); got != want+"\r\n" {
					p.wrong("got %q, %v; want %q", got, err, want)
				}
			}
		},
	},
	{
		section: "3", item: "no idle timeout", held: "a peer may be silent as long as it likes; one that does not take its answers is dropped after two minutes",
		tests: []string{"TestAPeerThatDoesNotReadIsDropped"},
	},
	{
		section: "3", item: "the reason fsck", held: "one such digest at a time on a file system, others wait and come in their turn; it reads at the lowest priority",
		tests: []string{"TestDigestsForFsckTakeTurnsOnAFileSystem", "TestLowPriorityEndsWithItsWork"},
	},
	{
		section: "3", item: "a line that is too long", held: "ends the connection beyond 4 KiB", differs: "mogstored takes any length",
		tests: []string{"TestTooLongALineEndsTheConnection"},
		ask: func(p *probe) {
			c := p.channel()
			fmt.Fprint(c, "size "+strings.Repeat("x", 8<<10)+"\n")
			if got, err := c.in.ReadString('\n'); err == nil {
				p.wrong("got %q; want the end", got)
			}
		},
	},
}

// utilisation is a line of a block.
var utilisation = regexp.MustCompile(`^\d+\t(-|\d+\.\d+)\n$`)

// block reads one block, and returns the devices that it names.
func (p *probe) block(c channel) (devices []int) {
	p.t.Helper()
	for {
		line, err := c.in.ReadString('\n')
		switch {
		case err != nil:
			p.wrong("a block: got %q, %v", line, err)
			return devices
		case line == ".\n":
			return devices
		case !utilisation.MatchString(line):
			p.wrong("a block: got the line %q", line)
		}
		word, _, _ := strings.Cut(line, "\t")
		dev, _ := strconv.Atoi(word)
		devices = append(devices, dev)
	}
}

var watchRows = []row{
	{
		section: "3.1", item: "a block", held: "`<devid>\\t<percent>` for each device, by devid, `-` where it is not known, then a dot; lines end in LF",
		differs: "cmogstored: in no order", tests: []string{"TestBlockIsSortedAndBounded", "TestWatchNamesEveryDevice"},
		ask: func(p *probe) {
			c := p.channel()
			fmt.Fprint(c, "watch\n")
			for range 2 {
				named := false
				last := -1
				for _, dev := range p.block(c) {
					named = named || dev == int(p.dev)
					if dev <= last {
						p.wrong("device %d after %d; want them sorted", dev, last)
					}
					last = dev
				}
				if !named {
					p.wrong("a block does not name device %d", p.dev)
				}
			}
		},
	},
	{
		section: "3.1", item: "many watchers", held: "each gets every block that it takes in time",
		ask: func(p *probe) {
			var all []channel
			for range 50 {
				c := p.channel()
				fmt.Fprint(c, "watch\n")
				all = append(all, c)
			}
			for _, c := range all {
				p.block(c)
			}
		},
	},
	{
		section: "3.1", item: "slow watchers", held: "lose blocks, and after two minutes the connection; nobody else waits",
		differs: "mogstored: lose blocks; cmogstored: are left out until they read",
		tests:   []string{"TestAWatcherWhoNeverReadsLosesBlocksAlone", "TestAPeerThatDoesNotReadIsDropped"},
	},
}

var usageKeys = []string{"available", "device", "disk", "time", "total", "use", "used"}

var usageRows = []row{
	{
		section: "4", item: "format", held: "`key: value`, in alphabetical order, KiB, `use` rounded up; `used` and `total` never 0",
		tests: []string{"TestUsageFile", "TestUsageIsWrittenAtOpenAndServedAsText"},
		ask: func(p *probe) {
			values, i := map[string]string{}, 0
			for line := range strings.Lines(p.do("GET", p.onDev("usage"), "").body) {
				key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
				if key == "" {
					continue // padding of mogstored's
				}
				if i >= len(usageKeys) || !ok || key != usageKeys[i] {
					p.wrong("line %q: want %v", line, usageKeys)
					return
				}
				values[key] = value
				i++
			}
			for _, key := range []string{"used", "total", "time", "available"} {
				if n, err := strconv.ParseInt(values[key], 10, 64); err != nil || n <= 0 && key != "available" {
					p.wrong("%s: got %q; want a number", key, values[key])
				}
			}
			if !strings.HasSuffix(values["disk"], "/dev"+p.dev.String()) || values["device"] == "" || !strings.HasSuffix(values["use"], "%") {
				p.wrong("got %v; want the disk's path, a device and a share", values)
			}
		},
	},
	{
		section: "4", item: "never half", held: "a reader sees the old file or the new; on a full disk it is written over in place, so that it tells of it",
		differs: "mogstored writes in place always", tests: []string{"TestUsageIsRenewedOnAFullDisk", "TestARealDiskThatGoesReadOnly"},
	},
	{section: "4", item: "written by others", held: "PUT and DELETE of it are refused", differs: "neither minds", ask: func(p *probe) {
		if !p.foreign {
			p.wants(p.do("PUT", p.onDev("usage"), "x"), 403)
			p.wants(p.do("DELETE", p.onDev("usage"), ""), 403)
		}
	}},
	{
		section: "4", item: "a device that is not mounted", held: "no usage file, once it was seen mounted; 503", differs: "both describe the file system above it",
		tests: []string{"TestUnmountedDeviceAnswers503"},
	},
}
