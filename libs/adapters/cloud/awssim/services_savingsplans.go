package awssim

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// restServices are found by the path of a request.
var restServices = []*service{savingsPlans}

// savingsPlans is AWS Savings Plans: a global service that speaks REST with JSON.
var savingsPlans = &service{
	name: "savingsplans", protocol: &restJSON{},
	unknownAction: "UnknownOperationException", internal: "InternalServerException", invalid: "ValidationException",
	badSignature: "InvalidSignatureException", badSignatureStatus: http.StatusForbidden,
	throttled: apiError{"ThrottlingException", "Rate exceeded", http.StatusTooManyRequests},
	operations: map[string]*operation{
		"DescribeSavingsPlans":     read((*sim.World).DescribeSavingsPlans, savingsPlansRead),
		"DescribeSavingsPlanRates": read((*sim.World).DescribeSavingsPlanRates, savingsPlansRead),
	},
}

// savingsPlansRead is a guess: AWS does not publish the limits of this API.
var savingsPlansRead = limit("savingsplans", 10, 5)

// readPath finds the operation of a REST service by the path of a request: POST
// /DescribeSavingsPlans.
func (c *call) readPath(r *http.Request, body []byte) bool {
	name := strings.TrimPrefix(r.URL.Path, "/")
	for _, s := range restServices {
		if s.operations[name] != nil && r.Method == http.MethodPost {
			c.service, c.operation, c.body = s, name, body
			return true
		}
	}
	return false
}

// restJSON is restJson1: the operation is in the path, the code of an error in a header.
type restJSON struct{}

func (*restJSON) decode(c *call, into any) *apiError { return decodeJSON(c.body, into) }

func (*restJSON) encode(_ *call, _ string, out any) ([]byte, error) { return encodeJSON(out) }

func (p *restJSON) answer(w http.ResponseWriter, requestID string, body []byte) {
	p.header(w, requestID)
	_, _ = w.Write(body) // a caller that has gone needs no answer
}

func (p *restJSON) refuse(w http.ResponseWriter, requestID string, err *apiError) {
	p.header(w, requestID)
	w.Header().Set("X-Amzn-Errortype", err.code)
	body, _ := json.Marshal(map[string]string{"message": err.message}) // strings always have a form
	w.WriteHeader(err.status)
	_, _ = w.Write(body) // a caller that has gone needs no answer
}

func (*restJSON) header(w http.ResponseWriter, requestID string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-RequestId", requestID)
}
