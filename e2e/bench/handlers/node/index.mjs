// Does nothing, unless an event wants its environment to be busy for a while.
export const handler = async ({ pauseMs }) => (pauseMs ? new Promise((done) => setTimeout(done, pauseMs, {})) : {});
