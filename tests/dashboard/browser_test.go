package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// browser is a page in a Chromium of its own.
type browser struct {
	t   *testing.T
	ctx context.Context
	// listening is to the console.
	listening sync.WaitGroup

	mu       sync.Mutex // guards troubles
	troubles []string   // that the console showed
}

// names are what systems call the browser.
var names = []string{"chromium", "chromium-browser", "google-chrome"}

// newBrowser starts Chromium, which ends with the test, with a profile of its own.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatalf("found none of %v: install Debian's package chromium, or run scripts/test-setup as root", names)
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.DisableGPU,
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			// A test binary that is killed takes its browser along.
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		}))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(allocator)
	b := &browser{t: t, ctx: ctx}
	t.Cleanup(b.listening.Wait)
	t.Cleanup(cancel)
	console := chromedp.Console(ctx)
	b.listening.Go(func() { b.hear(console) })
	return b
}

// hear notes what the console shows as a warning or worse, until the browser ends.
func (b *browser) hear(console iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range console {
		if err != nil {
			return
		}
		if m.Type == chromedp.ConsoleLog || m.Type == chromedp.ConsoleDebug || m.Type == chromedp.ConsoleInfo {
			continue
		}
		b.mu.Lock()
		b.troubles = append(b.troubles, fmt.Sprintf("%s: %s (%s)", m.Type, m.Text, m.URL))
		b.mu.Unlock()
	}
}

// calm wants that the console has shown no trouble.
func (b *browser) calm() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, trouble := range b.troubles {
		b.t.Errorf("the browser's console shows %q; want no errors", trouble)
	}
}

// forgive waits for a trouble that is meant to be shown, and forgets it.
func (b *browser) forgive(text string) {
	b.t.Helper()
	process.Eventually(b.t, within, "console with "+text, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		i := slices.IndexFunc(b.troubles, func(trouble string) bool { return strings.Contains(trouble, text) })
		if i < 0 {
			return false
		}
		b.troubles = slices.Delete(b.troubles, i, i+1)
		return true
	})
}

// do carries out actions, each in its time.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, a := range actions {
		if err := chromedp.Do(b.ctx, a); err != nil {
			b.t.Fatalf("in the browser: %v", err)
		}
	}
}

// await waits until an expression is true.
func (b *browser) await(what, expression string) {
	b.t.Helper()
	err := chromedp.Do(b.ctx, chromedp.Poll[chromedp.Void](expression,
		chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(within)))
	if err != nil {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("got no %s within %v (%v); the page says:\n%s", what, within, err, text)
	}
}

// eval evaluates an expression.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return value
}

// run evaluates statements.
func run(statements string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](statements)
}

// quoted is a text as a literal of JavaScript.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil { // no text does that
		panic(err)
	}
	return string(b)
}

// shows is an expression that says whether the text of an element has another in it.
func shows(selector, text string) string {
	return fmt.Sprintf("(document.querySelector(%s)?.textContent ?? '').includes(%s)", quoted(selector), quoted(text))
}

// open opens the dashboard and waits until it lives and all is well.
func (b *browser) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
	b.await("healthy installation", "document.querySelector('#health')?.dataset.health === 'ok'")
}

// scheme has the page think that its user wants light or dark.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	})
}

// lookUp looks a key up with the keyboard.
func (b *browser) lookUp(key string) {
	b.t.Helper()
	b.do(run("document.querySelector('#key').value = "+quoted(key)), chromedp.Focus(chromedp.CSS("#key")), chromedp.KeyEvent("\r"))
}

// wantNames wants a name, for those who can't see it, of all that can be operated.
func (b *browser) wantNames() {
	b.t.Helper()
	nameless := eval[[]string](b, `[...document.querySelectorAll("button, input, select, a, summary, progress, dialog[open], table, [role=img], [role=group], section")]
		.filter((e) => !(e.labels?.length || e.getAttribute("aria-label") || e.caption?.textContent
			|| (e.getAttribute("aria-labelledby") ?? "").split(" ").some((id) => document.getElementById(id)?.textContent)
			|| (e.matches("button, a, summary") && e.textContent.trim())))
		.map((e) => e.outerHTML.slice(0, 80))`)
	if len(nameless) > 0 {
		b.t.Errorf("got %q without a name; want labels", nameless)
	}
	if n := eval[int](b, `document.querySelectorAll("h1").length`); n != 1 || eval[string](b, "document.documentElement.lang") != "en" {
		b.t.Errorf("got %d first headings; want one, and the language", n)
	}
}

// contrast finds visible texts whose colour is too near to that of their background: less
// than 4.5 to 1 (WCAG 2.2, 1.4.3).
const contrast = `(() => {
	const parse = (c) => { const n = c.match(/[\d.]+/g).map(Number); return { rgb: n.slice(0, 3), a: n[3] ?? 1 }; };
	const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c.rgb; } return [255, 255, 255]; };
	const bad = [];
	for (const e of document.querySelectorAll("body *")) {
		const own = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim());
		if (!own || e.disabled || !e.checkVisibility() || e.closest("svg, noscript, option")) continue;
		const [a, b] = [light(parse(getComputedStyle(e).color).rgb), light(ground(e))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) bad.push(e.tagName + " " + e.textContent.slice(0, 30) + " " + ratio.toFixed(2));
	}
	return bad;
})()`

// wantContrast wants texts that can be read.
func (b *browser) wantContrast(scheme string) {
	b.t.Helper()
	if bad := eval[[]string](b, contrast); len(bad) > 0 {
		b.t.Errorf("%s: got too little contrast of %q", scheme, bad)
	}
}

// wantKeyboard goes through a page that was just opened with the Tab key and wants to see where it is, and to
// come everywhere.
func (b *browser) wantKeyboard() {
	b.t.Helper()
	visited := map[string]bool{}
	for range 100 {
		b.do(chromedp.KeyEvent("\t"))
		at := eval[struct {
			ID, Text, Outline string
			Width             float64
		}](b, `(() => { const e = document.activeElement, s = getComputedStyle(e);
			return { ID: e.id, Text: e.id || e.getAttribute("aria-label") || e.textContent.slice(0, 40), Outline: s.outlineStyle, Width: parseFloat(s.outlineWidth) }; })()`)
		if eval[bool](b, "document.activeElement === document.body") {
			break
		}
		if at.Outline == "none" || at.Width < 2 {
			b.t.Errorf("%q has the focus, and its outline is %s %g; want to see it", at.Text, at.Outline, at.Width)
		}
		visited[at.Text] = true
	}
	for _, want := range []string{
		"Skip to the content", "Problems", "Look up", "State of device 1", "replicate-now", "fsck-start", "fsck-reset", "policy", "domain", "key",
	} {
		if !visited[want] {
			b.t.Errorf("the Tab key does not come to %q; it comes to %v", want, visited)
		}
	}
}

// shoot keeps a picture of the page, if it was asked for.
func (b *browser) shoot(name string) {
	b.t.Helper()
	if !*screenshots {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll("../../docs/screenshots", 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile("../../docs/screenshots/"+name+".png", png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
