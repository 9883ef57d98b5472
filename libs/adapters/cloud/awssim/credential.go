package awssim

import (
	"net/http"
	"strings"
)

const signingAlgorithm = "AWS4-HMAC-SHA256"

// checkCredential refuses a request that is not signed, or signed for another service. The
// signature itself is not verified: any key is welcome, from any region.
func checkCredential(s *service, r *http.Request) *apiError {
	scope, err := credentialScope(s, r)
	if err != nil {
		return err
	}
	parts := strings.Split(scope, "/")
	if len(parts) < 5 || parts[len(parts)-1] != "aws4_request" {
		return s.incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + clip(scope) + "'")
	}
	if signed := parts[len(parts)-2]; signed != s.name {
		return &apiError{
			code: s.badSignature, message: "Credential should be scoped to correct service: '" + s.name + "'.", status: s.badSignatureStatus,
		}
	}
	return nil
}

// credentialScope reads AKID/20260102/us-east-1/ecs/aws4_request from the Authorization
// header or, for a presigned request, from the query string.
func credentialScope(s *service, r *http.Request) (string, *apiError) {
	header := r.Header.Get("Authorization")
	if header == "" {
		if scope := r.URL.Query().Get("X-Amz-Credential"); scope != "" {
			return scope, nil
		}
		return "", s.missingToken()
	}
	algorithm, rest, _ := strings.Cut(header, " ")
	if algorithm != signingAlgorithm {
		return "", s.incomplete("Unsupported AWS 'algorithm': '" + clip(algorithm) + "'. Sign with " + signingAlgorithm + ".")
	}
	parameters := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return "", s.incomplete("'" + clip(part) + "' not a valid key=value pair (missing equal-sign) in Authorization header.")
		}
		parameters[name] = value
	}
	var missing []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if parameters[name] == "" {
			missing = append(missing, "Authorization header requires '"+name+"' parameter.")
		}
	}
	if r.Header.Get("X-Amz-Date") == "" && r.Header.Get("Date") == "" {
		missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if len(missing) > 0 {
		return "", s.incomplete(strings.Join(missing, " "))
	}
	return parameters["Credential"], nil
}

// missingToken and incomplete have another code where the service speaks JSON.
func (s *service) missingToken() *apiError {
	if _, ok := s.protocol.(*awsJSON); ok {
		return fault("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	return &apiError{code: "MissingAuthenticationToken", message: "Request is missing Authentication Token", status: http.StatusForbidden}
}

func (s *service) incomplete(message string) *apiError {
	if _, ok := s.protocol.(*awsJSON); ok {
		return fault("IncompleteSignatureException", "%s", message)
	}
	return fault("IncompleteSignature", "%s", message)
}
