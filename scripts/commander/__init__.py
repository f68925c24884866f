"""A Verifone Commander that exists nowhere: the site controller's CGI over HTTPS, its period files and its moods.

    python -m scripts.commander --days 3 --tickets 400 --port 8443 --truth truth.jsonl
    python -m scripts.commander --serve day1.xml day2.xml --current day3.xml --speed 600

    async with Commander(Site(), Store(Settings("transset", per_hour=20), begin), HandClock(at)) as pos:
        pos.url, pos.fingerprint, pos.counters ...

From the bottom:

* pure: `book` (a period's document, made of pieces), `answers` (every text that is not a period), `sessions` (cookies,
  lock-out), `store` (a controller that sells by itself), `recorded` (one that plays recorded files), `cgi` (commands);
* shell: `certificate`, `troubles` (what goes wrong on the way), `commander` (the HTTPS port and the levers in process),
  `levers` (the same by name), `cli`.

The wire
--------
`GET /cgi-bin/CGILink?cmd=...`. Every answer of the CGI is HTTP 200; 503 and broken connections are levers.

* `validate` with `user`, `passwd`, and `otp` where the site wants one: credential.
* `vtlogpdlist` with `cookie`: periodList.
* `vtransset` with `cookie`, `period` (1 SHIFT, 2 DAILY) and `filename` (`YYYY-MM-DD.seq` or `current`), or in its place
  `reptnum` (1 current, 2 last closed, 3 the one before): the `transSet`, `text/xml`.
* `vtranssetz`, the same: a gzip file, `application/gzip`, without `Content-Encoding`.
* `releaseCredential` with `cookie`: `<VFI:Response xmlns:VFI="urn:vfi-sapphire:np.domain.2001-07-01"/>`.
* `vAppInfo` with nothing: appInfo.

Credential (the shape of a live unit, published by a user of it); one line behind the declaration; the cookie is 32
lower-case hex digits:

    <?xml version="1.0" encoding="UTF-8"?>
    <domain:credential xmlns:domain="urn:vfi-sapphire:np.domain.2001-07-01" xmlns:vs="urn:vfi-sapphire:vs.2001-10-01">
    <cookie>00112233445566778899aabbccddeeff</cookie><vs:site>0042</vs:site><funcList>validate,...</funcList>
    </domain:credential>

Every failure (the shape of a live unit, published by two users of it); one line behind the declaration. `faultString`
says nothing; `faultCode` and `message` do:

    <?xml version="1.0" encoding="UTF-8"?>
    <VFI:Response xmlns:VFI="urn:vfi-sapphire:np.domain.2001-07-01"><VFI:Fault>
    <faultCode>CGIPortal.LoginRequired</faultCode><faultString>CGIPortal Error</faultString><detail>
    <e:vfiFault xmlns:e="urn:vfi-sapphire:np.domain.2001-07-01">
    <e:message>No Credential for the User. Please login to get the Credential</e:message>
    </e:vfiFault></detail></VFI:Fault></VFI:Response>

When, faultCode, message, and how it is known:

* unknown, expired or no cookie: `CGIPortal.LoginRequired`, `No Credential for the User. Please login to get the
  Credential` (on one line); both from live units, the message also from t-logs.
* wrong user or password: `CGIPortal.InternalError`, `Invalid Credentials`; the message from t-logs, the code supposed.
* account locked: `CGIPortal.InternalError`, `Maximum failed attempts reached. User locked out`; a t-log's words,
  shortened, the code supposed.
* one-time password missing or wrong: `CGIPortal.OTPRequired`, `OTP_REQUIRED`; the code is the vendor's.
* five cookies in use: `CGIPortal.InternalError`, `Maximum number of credentials in use`; supposed.
* unknown file or period: `CGIPortal.InternalError`, `File not found`; supposed.
* unknown command: `CGIPortal.CommandNotFound`, `Command not found`; the code from a live unit.
* controller busy: `CGIPortal.InternalError`, `Controller is busy`; supposed.

What is supposed may differ from unit to unit, so a client must not tell the cases of a refused `validate` apart to
decide whether to try again: any fault there is a refusal. With `Site(login_page=True)` a bad cookie is answered with
the HTML page of a login instead, also with 200.

Invariants:

* Every request writes its SECURE USER record (a login two) into the running periods, after its answer was made.
* A running period has no close record, no closedTime and no endTotals, and is well-formed all the same.
* The same seed, clock and requests give the same bytes; the sales do not depend on the requests.
* Recorded records are served byte for byte.
"""
