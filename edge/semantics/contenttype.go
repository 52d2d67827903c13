package semantics

import (
	"mime"
	"path"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// contentTypes are those that every machine must give alike, whatever its system's
// tables say: what an image store mostly holds, and what pages need.
var contentTypes = map[string]string{
	".apng":  "image/apng",
	".avif":  "image/avif",
	".bmp":   "image/bmp",
	".css":   "text/css; charset=utf-8",
	".gif":   "image/gif",
	".gz":    "application/gzip",
	".heic":  "image/heic",
	".heif":  "image/heif",
	".htm":   "text/html; charset=utf-8",
	".html":  "text/html; charset=utf-8",
	".ico":   "image/x-icon",
	".jpeg":  "image/jpeg",
	".jpg":   "image/jpeg",
	".js":    "text/javascript; charset=utf-8",
	".json":  "application/json",
	".jxl":   "image/jxl",
	".m4a":   "audio/mp4",
	".m4v":   "video/mp4",
	".mjs":   "text/javascript; charset=utf-8",
	".mov":   "video/quicktime",
	".mp3":   "audio/mpeg",
	".mp4":   "video/mp4",
	".oga":   "audio/ogg",
	".ogg":   "audio/ogg",
	".ogv":   "video/ogg",
	".pdf":   "application/pdf",
	".png":   "image/png",
	".svg":   "image/svg+xml",
	".tif":   "image/tiff",
	".tiff":  "image/tiff",
	".ttf":   "font/ttf",
	".txt":   "text/plain; charset=utf-8",
	".wasm":  "application/wasm",
	".wav":   "audio/wav",
	".webm":  "video/webm",
	".webp":  "image/webp",
	".woff":  "font/woff",
	".woff2": "font/woff2",
	".xml":   "text/xml; charset=utf-8",
	".zip":   "application/zip",
}

// ContentType is what the key's extension says. The bytes are never looked at: they
// belong to whoever uploaded them.
func ContentType(key mogile.Key) string {
	ext := strings.ToLower(path.Ext(string(key)))
	if t := contentTypes[ext]; t != "" {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}
