package awssim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// foreignService says for which service a request is signed, if that is none of those that
// are simulated.
func foreignService(r *http.Request) (name string, foreign bool) {
	_, scope, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		return "", false
	}
	scope, _, _ = strings.Cut(scope, ",")
	parts := strings.Split(scope, "/")
	if len(parts) < 5 {
		return "", false
	}
	name = parts[len(parts)-2]
	return name, !slices.ContainsFunc(services(), func(s *service) bool { return s.name == name })
}

// refuseForeign tells a client of a service that is not simulated that this is so, in the
// form that most clients read errors in: AWS has none for it.
func refuseForeign(w http.ResponseWriter, r *http.Request, requestID, service string) {
	const code = "ServiceNotSimulated"
	message := fmt.Sprintf("%s is not simulated here; these services are: %s.",
		clip(service), strings.Join(slices.Sorted(maps.Keys(Operations())), ", "))
	w.Header().Set("X-Amzn-RequestId", requestID)
	if kind := r.Header.Get("Content-Type"); strings.Contains(kind, "json") {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("X-Amzn-ErrorType", code)
		body, _ := json.Marshal(map[string]string{"__type": code, "message": message}) // two strings always have a form
		w.WriteHeader(http.StatusNotImplemented)
		_, _ = w.Write(body) // a caller that has gone needs no answer
		return
	}
	writeXMLBody(w, requestID, http.StatusNotImplemented, fmt.Appendf(nil,
		"%s<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>",
		xmlHeader, code, xmlText(message), requestID))
}
