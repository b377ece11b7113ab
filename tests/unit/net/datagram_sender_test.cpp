#include "nsrelay/net/datagram_sender.hpp"

#include <gmock/gmock.h>

#include "udp_test_support.hpp"

namespace nsrelay {
namespace {

using testing::ElementsAre;

class DatagramSenderTest : public testing::Test {
 protected:
  DatagramSenderTest() {
    from_.connect_to(to_);
    to_.take_bursts(0);
  }

  int send() { return sender_->send(from_.fd(), false, segmentation_); }

  UdpSocket from_;
  UdpSocket to_;
  Segmentation segmentation_;
  std::unique_ptr<DatagramSender> sender_ = std::make_unique<DatagramSender>();
};

TEST_F(DatagramSenderTest, NeighboursOfAllSizesKeepTheirBoundariesAndTheirOrder) {
  for (const char* text : {"aaaa", "bbbb", "cc", "dddd", "", "", "eeeeee", "f", "f"})
    sender_->add(run_of(text), nullptr);
  EXPECT_EQ(send(), 0);
  EXPECT_THAT(to_.read(9), ElementsAre("aaaa", "bbbb", "cc", "dddd", "", "", "eeeeee", "f", "f"));
  EXPECT_EQ(sender_->sent().datagrams, 9U);
  EXPECT_EQ(sender_->sent().bytes, 22U);
}

TEST_F(DatagramSenderTest, EqualNeighboursLeaveAsOneMessage) {
  to_.take_bursts(1);
  for (int i = 0; i < 10; ++i)
    sender_->add(run_of("same size"), nullptr);
  EXPECT_EQ(send(), 0);
  DatagramReceiver receiver;
  ASSERT_EQ(receiver.receive(to_.fd()).status, IoStatus::Ok);
  ASSERT_EQ(receiver.received().size(), 1U);
  EXPECT_EQ(receiver.received()[0].run.count(), 10U);
  EXPECT_EQ(receiver.received()[0].run.segment_size, 9U);
}

TEST_F(DatagramSenderTest, RunsOfDifferentTrafficClassAreNotJoined) {
  for (const std::uint8_t mark : std::initializer_list<std::uint8_t>{0, 0, 3, 3, 0})
    sender_->add(run_of("x", 0, mark), nullptr);
  EXPECT_EQ(send(), 0);
  DatagramReceiver receiver;
  ASSERT_EQ(receiver.receive(to_.fd()).status, IoStatus::Ok);
  std::vector<int> marks;
  for (const ReceivedDatagrams& one : receiver.received())
    marks.insert(marks.end(), one.run.count(), one.run.traffic_class);
  EXPECT_THAT(marks, ElementsAre(0, 0, 3, 3, 0));
}

TEST_F(DatagramSenderTest, BurstLongerThanAMessageIsCutBetweenDatagrams) {
  const std::string burst(65536 - 8 - 20, 'x');
  sender_->add(run_of(burst, 500), nullptr);  // 132 segments
  EXPECT_EQ(send(), 0);
  const auto read = to_.read(132);
  ASSERT_EQ(read.size(), 132U);
  EXPECT_EQ(read.front().size(), 500U);
  EXPECT_EQ(read.back().size(), burst.size() % 500);
  EXPECT_EQ(sender_->sent().datagrams, 132U);
}

TEST_F(DatagramSenderTest, SocketThatMayNotCutSendsOneByOne) {
  EXPECT_TRUE(segmentation_.learn(EIO, 3));
  sender_->add(run_of("aaabbbcc", 3), nullptr);
  sender_->add(run_of("ddd"), nullptr);
  EXPECT_EQ(send(), 0);
  EXPECT_THAT(to_.read(4), ElementsAre("aaa", "bbb", "cc", "ddd"));
}

TEST_F(DatagramSenderTest, CuttingThatIsRefusedIsFoundOutAndNothingIsLost) {
  const int no_checksum = 1;  // the kernel then refuses UDP_SEGMENT with EINVAL
  ::setsockopt(from_.fd(), SOL_SOCKET, SO_NO_CHECK, &no_checksum, sizeof no_checksum);
  sender_->add(run_of("aaabbbcc", 3), nullptr);
  sender_->add(run_of("dddeee", 3), nullptr);
  EXPECT_EQ(send(), 0);
  EXPECT_THAT(to_.read(5), ElementsAre("aaa", "bbb", "cc", "ddd", "eee"));
  EXPECT_FALSE(segmentation_.allows(3));
  EXPECT_TRUE(segmentation_.allows(2));
}

TEST_F(DatagramSenderTest, DatagramThatIsTooLongFailsAloneAndTheRestGoes) {
  const std::string too_long(65520, 'x');
  sender_->add(run_of("before"), nullptr);
  sender_->add(run_of(too_long), nullptr);
  sender_->add(run_of("behind"), nullptr);
  EXPECT_EQ(send(), EMSGSIZE);
  EXPECT_EQ(sender_->skip_failed(), 1U);
  EXPECT_EQ(send(), 0);
  EXPECT_THAT(to_.read(2), ElementsAre("before", "behind"));
  EXPECT_TRUE(segmentation_.allows(65000)) << "that was not the fault of cutting";
}

TEST_F(DatagramSenderTest, RestIsWhatWasNotSent) {
  const UdpSocket nobody;
  {
    const UdpSocket gone;
    nobody.connect_to(gone);
  }
  sender_->add(run_of("brings the error"), nullptr);
  EXPECT_EQ(sender_->send(nobody.fd(), false, segmentation_), 0);
  sender_->clear();
  sender_->add(run_of("one"), nullptr);
  sender_->add(run_of("three"), nullptr);
  EXPECT_EQ(sender_->send(nobody.fd(), false, segmentation_), ECONNREFUSED);
  std::vector<std::string> rest;
  sender_->for_each_rest([&](const DatagramRun& run) { rest.push_back(text_of(run)); });
  EXPECT_THAT(rest, ElementsAre("one", "three"));
  EXPECT_EQ(sender_->skip_rest(), 2U);
  EXPECT_EQ(sender_->send(nobody.fd(), false, segmentation_), 0);
  EXPECT_EQ(sender_->sent().datagrams, 0U);
}

TEST_F(DatagramSenderTest, PathsSayWhereToAndFromWhichAddress) {
  const UdpSocket any("0.0.0.0");
  const DatagramPath first{to_.endpoint(), 0, *IpAddress::parse("127.0.0.5")};
  const DatagramPath second{to_.endpoint(), 0, *IpAddress::parse("127.0.0.6")};
  sender_->add(run_of("x"), &first);
  sender_->add(run_of("y"), &second);
  EXPECT_EQ(sender_->send(any.fd(), false, segmentation_), 0);
  DatagramReceiver receiver;
  ASSERT_EQ(receiver.receive(to_.fd()).status, IoStatus::Ok);
  ASSERT_EQ(receiver.received().size(), 2U);
  EXPECT_EQ(receiver.received()[0].path.peer.ip.to_string(), "127.0.0.5");
  EXPECT_EQ(receiver.received()[1].path.peer.ip.to_string(), "127.0.0.6");
}

TEST(DatagramRun, CountsItsDatagrams) {
  EXPECT_EQ(run_of("").count(), 1U);
  EXPECT_EQ(run_of("abc").count(), 1U);
  EXPECT_EQ(run_of("abc", 1).count(), 3U);
  EXPECT_EQ(run_of("abc", 2).count(), 2U);
}

TEST(Segmentation, LearnsOnlyFromErrorsThatAreAboutIt) {
  Segmentation segmentation;
  EXPECT_FALSE(segmentation.learn(ECONNREFUSED, 100));
  EXPECT_FALSE(segmentation.learn(EAGAIN, 100));
  EXPECT_TRUE(segmentation.allows(65535));
  EXPECT_TRUE(segmentation.learn(EINVAL, 1400));
  EXPECT_TRUE(segmentation.learn(EINVAL, 5000));
  EXPECT_TRUE(segmentation.allows(1399));
  EXPECT_FALSE(segmentation.allows(1400));
  EXPECT_TRUE(segmentation.learn(EIO, 10));
  EXPECT_FALSE(segmentation.allows(1));
}

}  // namespace
}  // namespace nsrelay
